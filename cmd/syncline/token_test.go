package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"syncline/crdt/id"
	"syncline/relay/wire/access"
)

// newKey makes a key and its JWKS.
func newKey(t *testing.T, args ...string) (private, jwks string) {
	t.Helper()
	private = filepath.Join(t.TempDir(), "relay.pem")
	out := done(t, append([]string{"token", "keygen", "--out", private}, args...)...)
	jwks = strings.TrimSuffix(private, ".pem") + ".jwks"
	if !strings.Contains(out, "private key\t"+private+"\njwks\t") || !strings.Contains(out, "\nkid\t") {
		t.Errorf("keygen prints:\n%s", out)
	}
	return private, jwks
}

// granted is what a relay with a JWKS makes of a token.
func granted(t *testing.T, jwks, token string) access.Grant {
	t.Helper()
	v, err := access.New(access.Options{KeyFile: jwks, Audience: "relay.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	g, err := v.Verify(t.Context(), token, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestMintedTokensGrantWhatTheFlagsSay(t *testing.T) {
	doc, other := id.Document{0x5c}, id.Document{0xa1, 0xb2} // neither prefix is one of doc
	none, read, write := access.None, access.Read, access.Write
	tests := []struct {
		name                  string
		flags                 []string
		doc, other, elsewhere access.Access
		admin                 bool
	}{
		{"a document", []string{"--doc", doc.URL()}, write, none, none, false},
		{"a document to read", []string{"--doc", doc.String() + ":read"}, read, none, none, false},
		{"two documents", []string{"--doc", doc.URL() + ":write", "--doc", other.URL() + ":read"}, write, read, none, false},
		{"two in one flag", []string{"--doc", doc.URL() + ":write," + other.URL() + ":read"}, write, read, none, false},
		{"a prefix", []string{"--prefix", "a1b2"}, none, write, none, false},
		{"a prefix to read", []string{"--prefix", "a1:read"}, none, read, none, false},
		{"every document", []string{"--all"}, write, write, write, false},
		{"every document to read, one to write", []string{"--all=read", "--doc", doc.URL()}, write, read, read, false},
		{"the admin pages", []string{"--admin"}, none, none, none, true},
	}
	private, jwks := newKey(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"token", "mint", "--key", private, "--sub", "alice", "--aud", "relay.example"}, tt.flags...)
			g := granted(t, jwks, done(t, args...))
			if g.Account != "alice" || g.Admin != tt.admin || time.Until(g.Expires) > time.Hour || time.Until(g.Expires) < 50*time.Minute {
				t.Errorf("granted %+v", g)
			}
			for at, want := range map[id.Document]access.Access{doc: tt.doc, other: tt.other, {0xff}: tt.elsewhere} {
				if got := g.Document(at); got != want {
					t.Errorf("%v for %v, want %v", got, at, want)
				}
			}
		})
	}
}

func TestEachAlgorithmHasKeys(t *testing.T) {
	for _, algorithm := range []string{"EdDSA", "ES256", "RS256"} {
		private, jwks := newKey(t, "--alg", algorithm)
		if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the private key of %s: %v, %v; want it for its owner only", algorithm, info.Mode(), err)
		}
		if strings.Contains(string(readAll(t, jwks)), `"d"`) {
			t.Errorf("the JWKS of %s has the private key", algorithm)
		}
		granted(t, jwks, done(t, "token", "mint", "--key", private, "--sub", "a", "--aud", "relay.example", "--all"))
	}
}

func TestAKeyIsChangedByAddingToTheSet(t *testing.T) {
	old, jwks := newKey(t)
	next := filepath.Join(t.TempDir(), "next.pem")
	done(t, "token", "keygen", "--out", next, "--jwks", jwks)
	for _, private := range []string{old, next} {
		granted(t, jwks, done(t, "token", "mint", "--key", private, "--sub", "a", "--aud", "relay.example", "--all"))
	}
}

func TestInspectShowsWhatATokenSays(t *testing.T) {
	private, jwks := newKey(t)
	doc := id.NewDocument()
	token := done(t, "token", "mint", "--key", private, "--sub", "alice", "--aud", "relay.example", "--aud", "spare",
		"--iss", "me", "--doc", doc.URL()+":read", "--prefix", "a1b2", "--all=read", "--admin")
	shown := done(t, "token", "inspect", "--key", jwks, token)
	for _, line := range []string{"verified\tyes\n", "algorithm\tEdDSA\n", "account\talice\n", "audience\trelay.example, spare\n", "issuer\tme\n",
		"expires\t20", "read\t" + doc.URL() + "\n", "write\tdocuments a1b2…\n", "read\tevery document\n", "admin\tyes"} {
		if !strings.Contains(shown, line) {
			t.Errorf("no %q in:\n%s", line, shown)
		}
	}
	if strings.Contains(shown, token[:20]) {
		t.Error("the token is shown again")
	}
	stdin(t, []byte("\n"+token+"\n"))
	if unchecked := done(t, "token", "inspect"); !strings.HasPrefix(unchecked, "verified\tnot checked") || !strings.Contains(unchecked, "account\talice") {
		t.Errorf("without keys:\n%s", unchecked)
	}
}

func TestInspectSaysWhyARelayWouldRefuse(t *testing.T) {
	private, jwks := newKey(t)
	_, others := newKey(t)
	token := done(t, "token", "mint", "--key", private, "--sub", "alice", "--aud", "relay.example", "--all")
	const garbled = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIbWzJKIn0.AAAA" // its sub would clear the screen
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"another key", []string{"--key", others, token}, []string{"not known"}},
		{"another audience", []string{"--key", jwks, "--aud", "x", token}, []string{"another audience"}},
		{"another issuer", []string{"--key", jwks, "--iss", "x", token}, []string{"another issuer"}},
		{"no token", []string{"garbage"}, []string{"three parts"}},
		{"no keys", []string{"--key", jwks + ".not", token}, []string{jwks + ".not", "no such file"}},
		{"the private key", []string{"--key", private, token}, []string{"private key", "JWKS"}},
		{"a URL that anybody can answer", []string{"--key", "http://issuer.example", token}, []string{"https"}},
		{"malformed", []string{garbled}, []string{"refuse"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"token", "inspect"}, tt.args...)
			refused(t, 1, tt.want, args...)
			if _, out, _ := cli(t, args...); strings.Contains(out, "\x1b") {
				t.Errorf("a token moves the cursor: %q", out)
			}
		})
	}
}

func TestTokenVerbsSayWhatIsMissing(t *testing.T) {
	private, jwks := newKey(t)
	mint := func(args ...string) []string { return append([]string{"token", "mint"}, args...) }
	whole := func(args ...string) []string {
		return append(mint("--key", private, "--sub", "a", "--aud", "b"), args...)
	}
	tests := []struct {
		name string
		code int
		args []string
		want []string
	}{
		{"a verb that is not there", 2, []string{"token", "forge"}, []string{"forge"}},
		{"no key", 2, mint("--sub", "a", "--aud", "b", "--all"), []string{"--key", "keygen"}},
		{"no account", 2, mint("--key", private, "--aud", "b", "--all"), []string{"--sub"}},
		{"no audience", 2, mint("--key", private, "--sub", "a", "--all"), []string{"--aud"}},
		{"nothing granted", 2, whole(), []string{"--doc", "--prefix", "--all", "--admin"}},
		{"no document", 2, whole("--doc", "x:read"), []string{"--doc", `"x"`}},
		{"an access that is none", 2, whole("--doc", id.NewDocument().URL()+":own"), []string{"--doc", ":read or :write"}},
		{"no prefix", 2, whole("--prefix", "xyz"), []string{"--prefix", "hexadecimal"}},
		{"an empty prefix", 2, whole("--prefix", ":read"), []string{"--prefix", "hexadecimal"}},
		{"all, but what", 2, whole("--all=own"), []string{"--all=read"}},
		{"no time", 2, whole("--all", "--ttl", "0s"), []string{"--ttl", "1h"}},
		{"a key that is not there", 1, mint("--key", private+".not", "--sub", "a", "--aud", "b", "--all"), []string{private + ".not", "no such file"}},
		{"a public key", 1, mint("--key", jwks, "--sub", "a", "--aud", "b", "--all"), []string{jwks, "not a key to sign with"}},
		{"an account that is too long", 1, mint("--key", private, "--sub", strings.Repeat("a", 257), "--aud", "b", "--all"), []string{"256"}},
		{"no file for the key", 2, []string{"token", "keygen"}, []string{"--out"}},
		{"an algorithm that is none", 2, []string{"token", "keygen", "--out", private + "2", "--alg", "HS256"}, []string{"HS256", "ES256"}},
		{"a key is there", 1, []string{"token", "keygen", "--out", private, "--jwks", jwks}, []string{private, "--out"}},
		{"a set is there", 1, []string{"token", "keygen", "--out", strings.TrimSuffix(private, ".pem")}, []string{jwks, "--jwks"}},
		{"no set", 1, []string{"token", "keygen", "--out", private + "2", "--jwks", private}, []string{private, "JWKS"}},
		{"no directory", 1, []string{"token", "keygen", "--out", filepath.Join(private+"2", "x.pem")}, []string{"no such file"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refused(t, tt.code, tt.want, tt.args...) })
	}
	if _, err := os.Stat(private + "2"); err == nil {
		t.Error("a key was left behind by a verb that failed")
	}
}

func TestTokenFlagsHaveVariables(t *testing.T) {
	private, jwks := newKey(t)
	for name, value := range map[string]string{
		"SYNCLINE_KEY": private, "SYNCLINE_SUB": "alice", "SYNCLINE_AUD": "relay.example,spare", "SYNCLINE_ALL": "read", "SYNCLINE_TTL": "5m",
	} {
		t.Setenv(name, value)
	}
	g := granted(t, jwks, done(t, "token", "mint"))
	if g.Account != "alice" || g.Document(id.NewDocument()) != access.Read || time.Until(g.Expires) > 5*time.Minute {
		t.Errorf("granted %+v", g)
	}
}
