package access

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/MicahParks/jwkset"
)

// The examples of RFC 7638 section 3.1 and RFC 8037 appendix A.3.
func TestThumbprintsAreThoseOfTheRFCs(t *testing.T) {
	for want, jwk := range map[string]string{
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256"}`,
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
	} {
		k, err := parseJWK(json.RawMessage(jwk))
		if err != nil {
			t.Fatal(err)
		}
		if k.name != want {
			t.Errorf("named %s, want %s", k.name, want)
		}
	}
}

// edited is a key's JWK with some members changed; nil takes one away.
func edited(t *testing.T, k *SigningKey, members map[string]any) string {
	t.Helper()
	m, err := marshalKey(k.public)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var jwk map[string]any
	if err := json.Unmarshal(b, &jwk); err != nil {
		t.Fatal(err)
	}
	for name, v := range members {
		if jwk[name] = v; v == nil {
			delete(jwk, name)
		}
	}
	if b, err = json.Marshal(jwk); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestKeysOfASetThatAreNotUsed(t *testing.T) {
	ed, ec, rs := signer(EdDSA), signer(ES256), signer(RS256)
	tests := []struct{ name, jwk, why string }{
		{"no object", `"key"`, "not a key"},
		{"a shared secret", `{"kty":"oct","kid":"s","k":"c2VjcmV0"}`, "shared secret"},
		{"a private key", edited(t, ed, map[string]any{"d": "AAAA"}), "private key"},
		{"for encryption", edited(t, rs, map[string]any{"use": "enc"}), "not for signatures"},
		{"to sign with", edited(t, ec, map[string]any{"key_ops": []string{"sign"}}), "not to verify"},
		{"another alg", edited(t, rs, map[string]any{"alg": "PS256"}), "not RS256"},
		{"the alg of another kind", edited(t, ed, map[string]any{"alg": "RS256"}), "not EdDSA"},
		{"an unknown kind", `{"kty":"XX"}`, "XX"},
		{"another curve", `{"kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, "only Ed25519"},
		{"a short Ed25519 key", edited(t, ed, map[string]any{"x": "AAAA"}), "32 bytes"},
		{"a point off the curve", edited(t, ec, map[string]any{"y": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}), "curve"},
		{"a small RSA key", `{"kty":"RSA","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWh"}`, "bits"},
		{"an RSA exponent that does not fit", edited(t, rs, map[string]any{"e": "AQAAAAAAAAAD"}), "E in"},
		{"a huge RSA key", edited(t, rs, map[string]any{"n": strings.Repeat("_", 20000)}), "bits"},
		{"a long name", edited(t, ed, map[string]any{"kid": strings.Repeat("k", 300)}), "kid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := fmt.Sprintf(`{"keys":[%s,%s]}`, tt.jwk, edited(t, ed, nil))
			set, skipped, err := parseKeys([]byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			if len(set) != 1 || len(skipped) != 1 || !strings.Contains(skipped[0], tt.why) {
				t.Errorf("%d keys, and skipped %q; want the other key, and one about %q", len(set), skipped, tt.why)
			}
			if _, _, err := parseKeys([]byte(fmt.Sprintf(`{"keys":[%s]}`, tt.jwk))); err == nil {
				t.Error("a set without a key to use is taken")
			}
		})
	}
}

func TestOfTwoKeysWithANameTheFirstCounts(t *testing.T) {
	a, b := makeSigner(t), makeSigner(t)
	name := map[string]any{"kid": "same"}
	set, skipped, err := parseKeys([]byte(fmt.Sprintf(`{"keys":[%s,%s]}`, edited(t, a, name), edited(t, b, name))))
	if err != nil || len(set) != 1 || len(skipped) != 1 {
		t.Fatalf("%d keys, skipped %q, %v", len(set), skipped, err)
	}
	if got := set["same"].key; !a.public.key.(interface{ Equal(crypto.PublicKey) bool }).Equal(got) {
		t.Error("it is not the first")
	}
}

func TestFilesWithKeys(t *testing.T) {
	ed, ec, rs := signer(EdDSA), signer(ES256), signer(RS256)
	private, err := ed.PEM()
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(p384.Public())
	if err != nil {
		t.Fatal(err)
	}
	other := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	all := bytes.Join([][]byte{[]byte("# ours\n"), publicPEM(t, ed), publicPEM(t, ec), publicPEM(t, rs), publicPEM(t, ed)}, nil)
	tests := []struct {
		name string
		file []byte
		keys int
		why  string
	}{
		{"PEM", all, 3, ""},
		{"a JWKS", jwks(t, ed, ec, rs), 3, ""},
		{"a JWKS that lists none", []byte(`{"keys":[]}`), 0, ""},
		{"empty", nil, 0, "neither"},
		{"JSON, but no JWKS", []byte(`{"key":[]}`), 0, "neither"},
		{"a private key", append(publicPEM(t, ec), private...), 0, "private key"},
		{"the last key cut short", all[:len(all)-40], 0, "cut short"},
		{"a certificate", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0, "CERTIFICATE"},
		{"no key in the PEM", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), 0, "cannot be read"},
		{"another curve", other, 0, "P-384"},
		{"too large", bytes.Repeat([]byte(" "), maxKeyBytes+1), 0, "more than"},
		{"too many", []byte(`{"keys":[` + repeat("{}", maxKeys+1) + `]}`), 0, "more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, _, err := parseKeys(tt.file)
			if tt.why == "" {
				if err != nil || len(set) != tt.keys {
					t.Errorf("%d keys and %v, want %d", len(set), err, tt.keys)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("%v, want one about %q", err, tt.why)
			}
		})
	}
}

// Other libraries read what is written here.
func TestTheSetThatIsWrittenIsAJWKS(t *testing.T) {
	keys := []*SigningKey{signer(EdDSA), signer(ES256), signer(RS256)}
	var set jwkset.JWKSMarshal
	if err := json.Unmarshal(jwks(t, keys...), &set); err != nil {
		t.Fatal(err)
	}
	read, err := set.JWKSlice()
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range keys {
		m := read[i].Marshal()
		if m.KID != k.Name() || string(m.ALG) != k.Algorithm() || m.USE != jwkset.UseSig || m.D != "" {
			t.Errorf("key %d is %+v", i, m)
		}
		if !k.public.key.(interface{ Equal(crypto.PublicKey) bool }).Equal(read[i].Key()) {
			t.Errorf("key %d is another", i)
		}
	}
}
