package access

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestTokensThatAreMadeAreAccepted(t *testing.T) {
	for _, algorithm := range []string{EdDSA, ES256, RS256} {
		t.Run(algorithm, func(t *testing.T) {
			made, err := GenerateKey(algorithm)
			if err != nil {
				t.Fatal(err)
			}
			b, err := made.PEM()
			if err != nil {
				t.Fatal(err)
			}
			k, err := ParseSigningKey(b)
			if err != nil {
				t.Fatal(err)
			}
			if k.Name() != made.Name() || k.Algorithm() != algorithm {
				t.Errorf("read again it is %s for %s", k.Name(), k.Algorithm())
			}
			token, err := k.Sign(Claims{
				Account: "alice", Audience: []string{audience}, IssuedAt: now, Expires: now.Add(time.Minute), Admin: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			for name, keys := range map[string][]byte{"JWKS": jwks(t, made), "PEM": publicPEM(t, made)} {
				g, err := newVerifier(t, Options{KeyFile: keyFile(t, keys)}).Verify(t.Context(), token, now)
				if err != nil || g.Account != "alice" || !g.Admin {
					t.Errorf("by the %s: %+v, %v", name, g, err)
				}
			}
			// And by the library that others use.
			if _, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return made.private.Public(), nil },
				jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithAudience(audience), jwt.WithExpirationRequired(),
				jwt.WithValidMethods([]string{algorithm})); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTokensThatNoRelayWouldTakeAreNotMade(t *testing.T) {
	k := signer(EdDSA)
	fine := Claims{Account: "alice", Audience: []string{audience}, Expires: now, Admin: true}
	if _, err := k.Sign(fine); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(c *Claims)
		why    string
	}{
		{"no account", func(c *Claims) { c.Account = "" }, "sub is empty"},
		{"no audience", func(c *Claims) { c.Audience = nil }, "aud"},
		{"no time", func(c *Claims) { c.Expires = time.Time{} }, "exp"},
		{"nothing granted", func(c *Claims) { c.Admin = false }, "grants nothing"},
		{"no access", func(c *Claims) { c.Documents = []Rule{{"", None}} }, "access"},
		{"too many documents", func(c *Claims) { c.Documents = make([]Rule, MaxRules+1) }, "more than 128"},
		{"too large", func(c *Claims) {
			for i := range MaxRules {
				c.Documents = append(c.Documents, Rule{fmt.Sprintf("%016d", i), Read})
			}
		}, "8192"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := fine
			tt.change(&c)
			if _, err := k.Sign(c); err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("%v, want one about %q", err, tt.why)
			}
		})
	}
}

func TestFilesWithoutASigningKey(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.MarshalECPrivateKey(p384)
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("not a key but a secret")
	tests := []struct {
		name string
		file []byte
		why  string
	}{
		{"empty", nil, "no key in PEM"},
		{"public", publicPEM(t, signer(ES256)), "not a private key"},
		{"garbage", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), "cannot be read"},
		{"another curve", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: other}), "P-384"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseSigningKey(tt.file)
			if err == nil || !strings.Contains(err.Error(), tt.why) || strings.Contains(err.Error(), string(secret)) {
				t.Errorf("%v, want one about %q", err, tt.why)
			}
		})
	}
	if _, err := GenerateKey("HS256"); err == nil || !strings.Contains(err.Error(), "choose") {
		t.Errorf("%v, want the choices", err)
	}
}

func TestAKeyIsAddedToASetOnceAndChangesNoOther(t *testing.T) {
	a, b := makeSigner(t), makeSigner(t)
	foreign := `{"kty":"RSA","use":"enc","kid":"theirs","e":"AQAB","n":"AQ","x-note":"kept"}`
	set := []byte(`{"keys":[` + edited(t, a, nil) + "," + foreign + `]}`)
	out, err := b.AddTo(set)
	if err != nil {
		t.Fatal(err)
	}
	if keys, _, err := parseKeys(out); err != nil || len(keys) != 2 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	if !bytes.Contains(out, []byte(`"x-note": "kept"`)) {
		t.Errorf("the key of others is not as it was: %s", out)
	}
	if again, err := b.AddTo(out); err != nil || !bytes.Equal(again, out) {
		t.Errorf("added twice: %s, %v", again, err)
	}
	if _, err := b.AddTo([]byte("{}")); err == nil {
		t.Error("added to what is no set")
	}
}
