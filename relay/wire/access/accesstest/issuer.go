// Package accesstest makes access tokens for tests of what package access guards, and
// the verifiers that take them.
package accesstest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"syncline/crdt/id"
	"syncline/relay/wire/access"
)

// Audience is what the tokens name.
const Audience = "syncline.test"

// WritesAll grants everything.
var WritesAll = access.Rule{Access: access.Write}

// Reads grants that a document may be read, and no other.
func Reads(doc id.Document) access.Rule {
	return access.Rule{Prefix: string(doc[:]), Access: access.Read}
}

// Writes grants that a document may be read and changed, and no other.
func Writes(doc id.Document) access.Rule {
	return access.Rule{Prefix: string(doc[:]), Access: access.Write}
}

// Issuer makes the tokens of a test.
type Issuer struct {
	Verifier *access.Verifier // takes them, until the test ends

	t   testing.TB
	key *access.SigningKey
}

// NewIssuer makes a key that nobody else has.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	key, err := access.GenerateKey(access.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	jwks, err := key.AddTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.jwks")
	if err := os.WriteFile(path, jwks, 0o600); err != nil {
		t.Fatal(err)
	}
	return &Issuer{t: t, key: key, Verifier: NewVerifier(t, access.Options{KeyFile: path})}
}

// NewVerifier makes a verifier that takes tokens for Audience, until the test ends.
func NewVerifier(t testing.TB, o access.Options) *access.Verifier {
	t.Helper()
	o.Audience = Audience
	v, err := access.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// Sign makes a token. Unless the claims say otherwise, it names Audience and is good for
// an hour.
func (i *Issuer) Sign(c access.Claims) string {
	i.t.Helper()
	if c.Audience == nil {
		c.Audience = []string{Audience}
	}
	if c.Expires.IsZero() {
		c.Expires = time.Now().Add(time.Hour)
	}
	token, err := i.key.Sign(c)
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

// Token grants an account what the rules say.
func (i *Issuer) Token(account string, rules ...access.Rule) string {
	i.t.Helper()
	return i.Sign(access.Claims{Account: account, Documents: rules})
}
