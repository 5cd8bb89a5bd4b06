package access

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"syncline/crdt/id"
)

// FuzzVerify gives whole tokens: none but the signer's is accepted, and an error
// always has a class.
func FuzzVerify(f *testing.F) {
	k := signer(EdDSA)
	v := newVerifier(f, Options{KeyFile: keyFile(f, jwks(f, k))})
	known := token(f, k)
	f.Add(known)
	f.Add("")
	f.Add("..")
	f.Add("e30.e30.e30")
	f.Add(hmacToken([]byte("x"), `{"alg":"none"}`, "{"+good+"}"))
	f.Add(changed(known, 0, func(string) string { return string(encodePart([]byte(`{"alg":"EdDSA","crit":[]}`))) }))
	f.Fuzz(func(t *testing.T, token string) {
		g, err := v.Verify(t.Context(), token, now)
		if _, derr := Decode(token); derr != nil && err == nil {
			t.Errorf("accepted, and cannot be shown: %v", derr)
		}
		if err == nil {
			if token != known {
				t.Errorf("accepted %q", token)
			}
			return
		}
		if !errors.Is(err, ErrUnauthorised) && !errors.Is(err, ErrExpired) {
			t.Errorf("an error of no class: %v", err)
		}
		if g.Document(id.Document{}) != None || g.Admin {
			t.Error("refused, and grants something")
		}
	})
}

// FuzzClaims gives payloads as though they were signed: what is accepted is within
// the bounds, and is the same when it is written and read again.
func FuzzClaims(f *testing.F) {
	f.Add([]byte("{" + good + "}"))
	f.Add([]byte(`{"iss":"i","nbf":1,"iat":1.5e9,` + good + "}"))
	f.Add([]byte(replaced(f, "syncline", `{"admin":true,"docs":[{"prefix":"ab","access":"read"},{"id":"`+docURL+`","access":"write"}]}`)))
	f.Add([]byte(replaced(f, "aud", `["a","b"]`)))
	f.Add([]byte(replaced(f, "exp", `-1e999`)))
	f.Add([]byte(`{"sub":null}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := parseClaims(payload)
		if err != nil {
			return
		}
		if len(c.Documents) > MaxRules || len(c.Audience) > maxAudiences || c.Account == "" || c.Expires.IsZero() {
			t.Fatalf("accepted %+v", c)
		}
		written, err := c.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseClaims(written)
		if err != nil {
			t.Fatalf("%s, read again: %v", written, err)
		}
		if twice, err := again.MarshalJSON(); err != nil || string(twice) != string(written) {
			t.Errorf("%s came back as %s, %v", written, twice, err)
		}
		for _, r := range c.Documents {
			if r.Access != Read && r.Access != Write || len(r.Prefix) > 16 {
				t.Errorf("accepted the rule %+v", r)
			}
		}
	})
}

// FuzzKeys gives files of keys: each that is used has one of the algorithms.
func FuzzKeys(f *testing.F) {
	for _, k := range signers() {
		f.Add(jwks(f, k))
		f.Add(publicPEM(f, k))
	}
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		set, _, err := parseKeys(b)
		if err != nil && set != nil {
			t.Error("an error, and keys")
		}
		for name, k := range set {
			switch {
			case name == "" || name != k.name || k.key == nil:
				t.Errorf("a key without a name: %+v", k)
			case k.method.Alg() != EdDSA && k.method.Alg() != ES256 && k.method.Alg() != RS256:
				t.Errorf("a key for %s", k.method.Alg())
			}
			// Whatever the key is, verifying with it ends. (Some accept what nobody
			// signed: a point of small order is on the curve.)
			k.method.Verify("signed", make([]byte, 64), k.key)
		}
	})
}

// FuzzOrigin gives what a browser may send: the zero Origins let in only what is on
// this machine for whoever parses it, and a list only what is on it.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"null", "http://localhost:80", "https://[::1]", "http://127.0.0.1", "https://APP.example:443", "http://a@localhost", "%%"} {
		f.Add(s)
	}
	listed, err := NewOrigins([]string{"https://app.example"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		u, err := url.Parse(origin)
		if (Origins{}).allows(origin) {
			if err != nil || u.User != nil || u.Path != "" || !loopbackHost(strings.ToLower(u.Hostname())) {
				t.Errorf("%q is let in", origin)
			}
		}
		if listed.allows(origin) && (err != nil || u.Scheme != "https" || !strings.EqualFold(u.Hostname(), "app.example")) {
			t.Errorf("%q is let in by a list", origin)
		}
	})
}
