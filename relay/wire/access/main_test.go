package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is when the tests take place.
var now = time.Unix(1_800_000_000, 0)

const (
	audience = "relay.example"
	docURL   = "automerge:4NMNnkMhL8jXrdJ9jamS58PAVdXu"
	good     = `"sub":"alice","aud":"relay.example","exp":1800003600,"syncline":{"docs":[{"id":"*","access":"write"}]}`
)

// signers are keys of each kind, made once for all tests. RSA keys of the size that
// is made for people take a second.
var signers = sync.OnceValue(func() map[string]*SigningKey {
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	weak, _ := rsa.GenerateKey(rand.Reader, 2048)
	keys := make(map[string]*SigningKey)
	for _, private := range []crypto.Signer{ed, ec, weak} {
		k, err := newSigningKey(private)
		if err != nil {
			panic(err)
		}
		keys[k.Algorithm()] = k
	}
	return keys
})

func signer(algorithm string) *SigningKey { return signers()[algorithm] }

// makeSigner returns a key that nobody else has.
func makeSigner(t testing.TB) *SigningKey {
	t.Helper()
	k, err := GenerateKey(EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// header is what a token of a key begins with.
func header(k *SigningKey) string {
	return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, k.Algorithm(), k.Name())
}

// sign makes a token of whatever header and payload.
func sign(t testing.TB, k *SigningKey, header, payload string) string {
	t.Helper()
	signed := string(encodePart([]byte(header))) + "." + string(encodePart([]byte(payload)))
	signature, err := k.public.method.Sign(signed, k.private)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + string(encodePart(signature))
}

// token is a good one.
func token(t testing.TB, k *SigningKey) string {
	t.Helper()
	return sign(t, k, header(k), "{"+good+"}")
}

// jwks lists the public keys.
func jwks(t testing.TB, keys ...*SigningKey) []byte {
	t.Helper()
	b := []byte(`{"keys":[]}`)
	for _, k := range keys {
		var err error
		if b, err = k.AddTo(b); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// publicPEM is the public key as openssl writes it.
func publicPEM(t testing.TB, k *SigningKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// keyFile writes keys where a Verifier reads them.
func keyFile(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	replace(t, path, b)
	return path
}

// replace renames a new file over another.
func replace(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// newVerifier returns one that is closed at the end of the test.
func newVerifier(t testing.TB, o Options) *Verifier {
	t.Helper()
	if o.Audience == "" {
		o.Audience = audience
	}
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// replaced is a payload in which one claim has another value; "" takes it away.
func replaced(t testing.TB, name, value string) string {
	t.Helper()
	var claims map[string]json.RawMessage
	if err := json.Unmarshal([]byte("{"+good+"}"), &claims); err != nil {
		t.Fatal(err)
	}
	if claims[name] = json.RawMessage(value); value == "" {
		delete(claims, name)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// grants is a payload with other entries for documents.
func grants(t testing.TB, docs string) string {
	return replaced(t, "syncline", `{"docs":[`+docs+`]}`)
}

// repeat joins n copies.
func repeat(s string, n int) string {
	return strings.TrimSuffix(strings.Repeat(s+",", n), ",")
}
