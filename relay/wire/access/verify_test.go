package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/socket"
)

// hmacToken is signed with a public key as though that were a shared secret.
func hmacToken(secret []byte, header, payload string) string {
	signed := string(encodePart([]byte(header))) + "." + string(encodePart([]byte(payload)))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + string(encodePart(mac.Sum(nil)))
}

// changed is a token with one part passed through a function.
func changed(token string, part int, change func(string) string) string {
	parts := strings.Split(token, ".")
	parts[part] = change(parts[part])
	return strings.Join(parts, ".")
}

// flipped changes the first letter.
func flipped(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

func TestTokensThatAreRefused(t *testing.T) {
	ed, ec, rs := signer(EdDSA), signer(ES256), signer(RS256)
	stranger := makeSigner(t)
	v := newVerifier(t, Options{KeyFile: keyFile(t, jwks(t, ed, ec, rs)), Issuer: "https://issuer.example"})
	ok := `{"iss":"https://issuer.example",` + good + "}"
	if _, err := v.Verify(t.Context(), sign(t, ed, header(ed), ok), now); err != nil {
		t.Fatalf("what the table starts from is refused: %v", err)
	}
	// with is the good payload with the issuer and one claim that differs.
	with := func(name, value string) string {
		return sign(t, ed, header(ed), `{"iss":"https://issuer.example",`+replaced(t, name, value)[1:])
	}
	head := func(h string) string { return sign(t, ed, h, ok) }
	body := func(b string) string { return sign(t, ed, header(ed), b) }
	docs := func(d string) string { return with("syncline", `{"docs":[`+d+`]}`) }
	named := func(extra string) string {
		return fmt.Sprintf(`{"alg":"EdDSA","kid":%q,%s}`, ed.Name(), extra)
	}
	foreign, err := marshalKey(stranger.public)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		token string
		class error
		why   string
	}{
		// The envelope.
		{"empty", "", ErrUnauthorised, "no access token"},
		{"garbage", "garbage", ErrUnauthorised, "three parts"},
		{"two parts", "e30.e30", ErrUnauthorised, "three parts"},
		{"four parts", head(header(ed)) + ".e30", ErrUnauthorised, "three parts"},
		{"an encrypted token of five", "e30.e30.e30.e30.e30", ErrUnauthorised, "three parts"},
		{"dots only", "..", ErrUnauthorised, "header"},
		{"too large", head(header(ed)) + strings.Repeat("A", wire.MaxToken), ErrUnauthorised, "8192"},
		{"padded", changed(head(header(ed)), 2, func(s string) string { return s + "==" }), ErrUnauthorised, "base64url"},
		{"line end in a part", changed(head(header(ed)), 1, func(s string) string { return s[:4] + "\n" + s[4:] }), ErrUnauthorised, "base64url"},
		{"the other base64", changed(head(header(ed)), 2, func(s string) string { return "+/" + s[2:] }), ErrUnauthorised, "base64url"},
		{"bits left over", changed(head(header(ed)), 2, func(s string) string { return s[:len(s)-1] + "_" }), ErrUnauthorised, "base64url"},
		{"spaces around it", " " + head(header(ed)), ErrUnauthorised, "base64url"},

		// The header.
		{"header no object", head(`["EdDSA"]`), ErrUnauthorised, "header is not"},
		{"header not JSON", head(`{"alg":"EdDSA"`), ErrUnauthorised, "header is not"},
		{"something after the header", head(header(ed) + `{}`), ErrUnauthorised, "header is not"},
		{"a header member twice", head(named(`"alg":"EdDSA"`)), ErrUnauthorised, "header has a member twice"},
		{"no algorithm", head(fmt.Sprintf(`{"kid":%q}`, ed.Name())), ErrUnauthorised, "algorithm"},
		{"algorithm of another type", head(fmt.Sprintf(`{"alg":["EdDSA"],"kid":%q}`, ed.Name())), ErrUnauthorised, "algorithm"},
		{"algorithm in other letters", head(fmt.Sprintf(`{"alg":"eddsa","kid":%q}`, ed.Name())), ErrUnauthorised, "algorithm"},
		{"Alg for alg", head(fmt.Sprintf(`{"Alg":"EdDSA","kid":%q}`, ed.Name())), ErrUnauthorised, "algorithm"},
		{"none, with a signature", head(fmt.Sprintf(`{"alg":"none","kid":%q}`, ed.Name())), ErrUnauthorised, "algorithm is none of"},
		{"none, without", changed(head(fmt.Sprintf(`{"alg":"none","kid":%q}`, ed.Name())), 2, func(string) string { return "" }), ErrUnauthorised, "algorithm is none of"},
		{"nOnE", head(`{"alg":"nOnE"}`), ErrUnauthorised, "algorithm is none of"},
		{"HS256 keyed with the public key", hmacToken(publicPEM(t, rs), fmt.Sprintf(`{"alg":"HS256","kid":%q}`, rs.Name()), ok), ErrUnauthorised, "algorithm is none of"},
		{"RS256 said, keyed as HS256", hmacToken(publicPEM(t, rs), header(rs), ok), ErrUnauthorised, "signature"},
		{"PS256", sign(t, rs, fmt.Sprintf(`{"alg":"PS256","kid":%q}`, rs.Name()), ok), ErrUnauthorised, "algorithm is none of"},
		{"RS512", sign(t, rs, fmt.Sprintf(`{"alg":"RS512","kid":%q}`, rs.Name()), ok), ErrUnauthorised, "algorithm is none of"},
		{"ES256 with the kid of an Ed25519 key", sign(t, ec, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, ed.Name()), ok), ErrUnauthorised, "not that of its key"},
		{"EdDSA said, with the kid of an RSA key", head(fmt.Sprintf(`{"alg":"EdDSA","kid":%q}`, rs.Name())), ErrUnauthorised, "not that of its key"},
		{"unknown kid", sign(t, stranger, header(stranger), ok), ErrUnauthorised, "not known"},
		{"no kid, and several keys", head(`{"alg":"EdDSA"}`), ErrUnauthorised, "names no key"},
		{"empty kid", head(`{"alg":"EdDSA","kid":""}`), ErrUnauthorised, "kid"},
		{"kid of another type", head(`{"alg":"EdDSA","kid":7}`), ErrUnauthorised, "kid"},
		{"kid null", head(`{"alg":"EdDSA","kid":null}`), ErrUnauthorised, "kid"},
		{"kid too long", head(fmt.Sprintf(`{"alg":"EdDSA","kid":"%0300d"}`, 1)), ErrUnauthorised, "kid"},
		{"crit", head(named(`"crit":["exp"]`)), ErrUnauthorised, "crit"},
		{"crit, empty", head(named(`"crit":[]`)), ErrUnauthorised, "crit"},
		{"payload not encoded (b64)", head(named(`"b64":false,"crit":["b64"]`)), ErrUnauthorised, "crit"},
		{"a token for another end", head(named(`"typ":"logout+jwt"`)), ErrUnauthorised, "typ"},
		{"typ of another type", head(named(`"typ":1`)), ErrUnauthorised, "typ"},

		// The signature.
		{"wrong key under a known kid", sign(t, stranger, header(ed), ok), ErrUnauthorised, "signature"},
		{"the key is in the header", sign(t, stranger, named(fmt.Sprintf(`"jwk":{"kty":"OKP","crv":"Ed25519","x":%q}`, foreign.X)), ok), ErrUnauthorised, "signature"},
		{"the header says where the key is", sign(t, stranger, named(`"jku":"https://evil.example/keys","x5u":"https://evil.example/c"`), ok), ErrUnauthorised, "signature"},
		{"the header has a certificate", sign(t, stranger, named(`"x5c":["MIIB"]`), ok), ErrUnauthorised, "signature"},
		{"payload changed", changed(head(header(ed)), 1, func(string) string { return string(encodePart([]byte(strings.Replace(ok, "alice", "mallo", 1)))) }), ErrUnauthorised, "signature"},
		{"signature changed", changed(head(header(ed)), 2, flipped), ErrUnauthorised, "signature"},
		{"header changed", changed(head(header(ed)), 0, func(string) string { return string(encodePart([]byte(named(`"typ":"at+jwt"`)))) }), ErrUnauthorised, "signature"},
		{"no signature", changed(head(header(ed)), 2, func(string) string { return "" }), ErrUnauthorised, "signature"},
		{"half a signature", changed(head(header(ed)), 2, func(s string) string { return s[:40] }), ErrUnauthorised, "signature"},
		{"a signature of zeros", changed(sign(t, ec, header(ec), ok), 2, func(s string) string { return strings.Repeat("A", len(s)) }), ErrUnauthorised, "signature"},
		{"the signature of another token", changed(head(header(ed)), 2, func(string) string { return strings.Split(with("sub", `"bob"`), ".")[2] }), ErrUnauthorised, "signature"},

		// The registered claims.
		{"payload no object", body(`"alice"`), ErrUnauthorised, "payload is not"},
		{"payload not JSON", body(`{"sub"`), ErrUnauthorised, "payload is not"},
		{"payload not UTF-8", with("sub", "\"\xff\""), ErrUnauthorised, "payload is not"},
		{"something after the payload", body(ok + "x"), ErrUnauthorised, "payload is not"},
		{"a claim twice", body(`{"exp":1800009999,"iss":"https://issuer.example",` + good + `}`), ErrUnauthorised, "has a member twice"},
		{"a claim twice, once escaped", body(`{"\u0065xp":1800009999,"iss":"https://issuer.example",` + good + `}`), ErrUnauthorised, "has a member twice"},
		{"no sub", with("sub", ""), ErrUnauthorised, "no sub"},
		{"empty sub", with("sub", `""`), ErrUnauthorised, "sub is empty"},
		{"sub a number", with("sub", `7`), ErrUnauthorised, "sub is not a string"},
		{"sub null", with("sub", `null`), ErrUnauthorised, "sub is not a string"},
		{"sub too long", with("sub", fmt.Sprintf(`"%0257d"`, 1)), ErrUnauthorised, "more than 256"},
		{"sub with a line end", with("sub", `"a\nb"`), ErrUnauthorised, "cannot be printed"},
		{"sub with half a character", with("sub", `"a\ud800"`), ErrUnauthorised, "sub is not a string"},
		{"Sub for sub", body(`{"Sub":"bob","iss":"https://issuer.example",` + strings.TrimPrefix(replaced(t, "sub", ""), "{")), ErrUnauthorised, "no sub"},
		{"no aud", with("aud", ""), ErrUnauthorised, "no aud"},
		{"wrong aud", with("aud", `"other.example"`), ErrUnauthorised, "another audience"},
		{"aud in other letters", with("aud", `"Relay.Example"`), ErrUnauthorised, "another audience"},
		{"aud, an array without ours", with("aud", `["a","b"]`), ErrUnauthorised, "another audience"},
		{"aud, an empty array", with("aud", `[]`), ErrUnauthorised, "another audience"},
		{"aud, an array of numbers", with("aud", `["relay.example",7]`), ErrUnauthorised, "aud is neither"},
		{"aud null", with("aud", `null`), ErrUnauthorised, "aud is neither"},
		{"aud, an array in an array", with("aud", `[["relay.example"]]`), ErrUnauthorised, "aud is neither"},
		{"aud, too many", with("aud", "["+repeat(`"relay.example"`, maxAudiences+1)+"]"), ErrUnauthorised, "lists more than"},
		{"no iss", sign(t, ed, header(ed), "{"+good+"}"), ErrUnauthorised, "another issuer"},
		{"wrong iss", sign(t, ed, header(ed), `{"iss":"https://issuer.example/",`+good+"}"), ErrUnauthorised, "another issuer"},
		{"iss of another type", sign(t, ed, header(ed), `{"iss":["https://issuer.example"],`+good+"}"), ErrUnauthorised, "iss is not"},
		{"no exp", with("exp", ""), ErrUnauthorised, "no exp"},
		{"exp null", with("exp", "null"), ErrUnauthorised, "exp is not a number"},
		{"exp a string", with("exp", `"1800003600"`), ErrUnauthorised, "exp is not a number"},
		{"exp negative", with("exp", "-1"), ErrUnauthorised, "exp is not a time"},
		{"exp zero", with("exp", "0"), ErrUnauthorised, "exp is not a time"},
		{"exp in milliseconds", with("exp", "1800003600000"), ErrUnauthorised, "exp is not a time"},
		{"exp huge", with("exp", "1e300"), ErrUnauthorised, "exp is not a time"},
		{"exp beyond numbers", with("exp", "1e999"), ErrUnauthorised, "exp is not a number"},
		{"expired", with("exp", "1799999999"), ErrExpired, ""},
		{"expired this very second", with("exp", "1800000000"), ErrExpired, ""},
		{"expired by a fraction", with("exp", "1800000000.9"), ErrExpired, ""},
		{"expired, and for another audience", sign(t, ed, header(ed), `{"sub":"a","aud":"b","exp":1,"syncline":{"admin":true}}`), ErrUnauthorised, "another audience"},
		{"nbf in the future", with("nbf", "1800000031"), ErrUnauthorised, "not valid yet"},
		{"nbf a string", with("nbf", `"1"`), ErrUnauthorised, "nbf is not"},
		{"nbf negative", with("nbf", `-5`), ErrUnauthorised, "nbf is not"},
		{"iat in the future", with("iat", "1800000031"), ErrUnauthorised, "in the future"},
		{"iat of another type", with("iat", "true"), ErrUnauthorised, "iat is not"},

		// Our own.
		{"no syncline claim", with("syncline", ""), ErrUnauthorised, "no syncline claim"},
		{"syncline null", with("syncline", "null"), ErrUnauthorised, "claim is not a JSON object"},
		{"syncline empty", with("syncline", "{}"), ErrUnauthorised, "grants nothing"},
		{"syncline.docs empty", docs(``), ErrUnauthorised, "grants nothing"},
		{"syncline.docs no list", with("syncline", `{"docs":{"id":"*","access":"read"}}`), ErrUnauthorised, "docs is not a list"},
		{"syncline.docs null", with("syncline", `{"docs":null}`), ErrUnauthorised, "docs is not a list"},
		{"syncline with a stranger", with("syncline", `{"admin":true,"role":"x"}`), ErrUnauthorised, "neither docs nor admin"},
		{"syncline.docs twice", with("syncline", `{"docs":[],"docs":[{"id":"*","access":"write"}]}`), ErrUnauthorised, "twice"},
		{"syncline.admin a string", with("syncline", `{"admin":"true"}`), ErrUnauthorised, "admin is neither"},
		{"syncline.admin a number", with("syncline", `{"admin":1}`), ErrUnauthorised, "admin is neither"},
		{"syncline.admin false, and nothing else", with("syncline", `{"admin":false}`), ErrUnauthorised, "grants nothing"},
		{"too many documents", docs(repeat(`{"id":"*","access":"read"}`, MaxRules+1)), ErrUnauthorised, "more than 128"},
		{"an entry that is a string", docs(`"*"`), ErrUnauthorised, "docs[0] is not"},
		{"an entry without access", docs(`{"id":"*"}`), ErrUnauthorised, "docs[0] has no access"},
		{"an unknown access", docs(`{"id":"*","access":"owner"}`), ErrUnauthorised, "docs[0] has an access"},
		{"access in other letters", docs(`{"id":"*","access":"Write"}`), ErrUnauthorised, "docs[0] has an access"},
		{"access null", docs(`{"id":"*","access":null}`), ErrUnauthorised, "docs[0] has no access"},
		{"an entry with a stranger", docs(`{"id":"*","access":"read","until":1}`), ErrUnauthorised, "docs[0] has a member"},
		{"an entry with id twice", docs(`{"id":"` + docURL + `","id":"*","access":"read"}`), ErrUnauthorised, "docs[0] has a member twice"},
		{"neither id nor prefix", docs(`{"access":"read"}`), ErrUnauthorised, "either an id or a prefix"},
		{"both id and prefix", docs(`{"id":"*","prefix":"aa","access":"read"}`), ErrUnauthorised, "either an id or a prefix"},
		{"the second entry malformed", docs(`{"id":"*","access":"read"},{"id":"x","access":"read"}`), ErrUnauthorised, "docs[1]"},
		{"an id with a wrong letter", docs(`{"id":"automerge:4NMNnkMhL8jXrdJ9jamS58PAVdXv","access":"read"}`), ErrUnauthorised, "id that is not"},
		{"an empty id", docs(`{"id":"","access":"read"}`), ErrUnauthorised, "id that is not"},
		{"an id of another type", docs(`{"id":["*"],"access":"read"}`), ErrUnauthorised, "id that is not"},
		{"an empty prefix", docs(`{"prefix":"","access":"read"}`), ErrUnauthorised, "prefix that is"},
		{"a prefix of half a byte", docs(`{"prefix":"abc","access":"read"}`), ErrUnauthorised, "prefix that is"},
		{"a prefix in capitals", docs(`{"prefix":"AB","access":"read"}`), ErrUnauthorised, "prefix that is"},
		{"a prefix that is no hexadecimal", docs(`{"prefix":"4NMN","access":"read"}`), ErrUnauthorised, "prefix that is"},
		{"a prefix longer than an id", docs(`{"prefix":"` + strings.Repeat("ab", 17) + `","access":"read"}`), ErrUnauthorised, "prefix that is"},
		{"a prefix of every document", docs(`{"prefix":"*","access":"read"}`), ErrUnauthorised, "prefix that is"},
		{"a prefix of another type", docs(`{"prefix":17,"access":"read"}`), ErrUnauthorised, "prefix that is"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := v.Verify(t.Context(), tt.token, now)
			if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.why) {
				t.Fatalf("%v, want %v because of %q", err, tt.class, tt.why)
			}
			if g.Account != "" || g.Admin || g.Document(id.Document{}) != None {
				t.Errorf("refused, and grants %+v", g)
			}
			noEcho(t, tt.token, err)
		})
	}
}

// noEcho fails if an error quotes what a token says.
func noEcho(t *testing.T, token string, err error) {
	t.Helper()
	for _, secret := range []string{"alice", "mallo", "Sub", "other.example", "issuer.example", "evil", "owner", "role", "until", "logout"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error quotes %q: %v", secret, err)
		}
	}
	for part := range strings.SplitSeq(token, ".") {
		for i := 0; i+12 <= len(part); i += 4 {
			if strings.Contains(err.Error(), part[i:i+12]) {
				t.Errorf("the error quotes the token: %v", err)
			}
		}
	}
}

func TestTokensThatAreAccepted(t *testing.T) {
	several := newVerifier(t, Options{KeyFile: keyFile(t, jwks(t, signer(EdDSA), signer(ES256), signer(RS256)))})
	ed := signer(EdDSA)
	one := newVerifier(t, Options{KeyFile: keyFile(t, publicPEM(t, ed))})
	body := func(b string) string { return sign(t, ed, header(ed), b) }
	tests := []struct {
		name  string
		v     *Verifier
		token string
	}{
		{"EdDSA", several, token(t, ed)},
		{"ES256", several, token(t, signer(ES256))},
		{"RS256", several, token(t, signer(RS256))},
		{"a single key in PEM", one, token(t, ed)},
		{"no kid, and a single key", one, sign(t, ed, `{"alg":"EdDSA"}`, "{"+good+"}")},
		{"an OAuth access token", one, sign(t, ed, `{"alg":"EdDSA","typ":"application/at+JWT"}`, "{"+good+"}")},
		{"a stranger in the header", one, sign(t, ed, `{"alg":"EdDSA","cty":"x","jku":"https://evil.example"}`, "{"+good+"}")},
		{"ours among several audiences", one, body(replaced(t, "aud", `["other","relay.example"]`))},
		{"other claims", one, body(`{"email":"a@b.example","groups":["x"],"docs":7,"admin":"no",` + good + "}")},
		{"nbf within the leeway", one, body(replaced(t, "nbf", "1800000030"))},
		{"iat within the leeway", one, body(replaced(t, "iat", "1800000030"))},
		{"any issuer, if none is asked for", one, body(replaced(t, "iss", `"somebody"`))},
		{"exp with a fraction", one, body(replaced(t, "exp", "1800003600.75"))},
		{"exp with an exponent", one, body(replaced(t, "exp", "1.8000036e9"))},
		{"as many documents as may be", one, body(grants(t, repeat(`{"id":"*","access":"write"}`, MaxRules)))},
		{"a bare id", one, body(grants(t, `{"id":"*","access":"write"},{"id":"`+strings.TrimPrefix(docURL, "automerge:")+`","access":"read"}`))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := tt.v.Verify(t.Context(), tt.token, now)
			if err != nil {
				t.Fatal(err)
			}
			if g.Account != "alice" || g.Admin || !g.Expires.Equal(now.Add(time.Hour)) || g.Document(id.NewDocument()) != Write {
				t.Errorf("granted %+v", g)
			}
			if g.Expired(now) || !g.Expired(now.Add(time.Hour)) {
				t.Error("expires at another time than it says")
			}
		})
	}
}

func TestClassesHaveCloseCodes(t *testing.T) {
	for err, want := range map[error]wire.CloseCode{
		ErrUnauthorised: wire.CloseUnauthorised,
		ErrExpired:      wire.CloseExpired,
		ErrForbidden:    wire.CloseUnauthorised,
		ErrUnavailable:  wire.CloseInternal,
		ErrOverLimit:    wire.CloseOverLimit,
	} {
		if got := socket.CodeOf(fmt.Errorf("join: %w", err)); got != want {
			t.Errorf("%v closes with %v, want %v", err, got, want)
		}
	}
}

func TestVerifiersThatCannotBe(t *testing.T) {
	file := keyFile(t, jwks(t, signer(EdDSA)))
	tests := []struct {
		name string
		o    Options
		why  string
	}{
		{"no audience", Options{KeyFile: file}, "audience"},
		{"no keys", Options{Audience: audience}, "file or a URL"},
		{"two kinds of keys", Options{Audience: audience, KeyFile: file, JWKSURL: "https://issuer.example"}, "file or a URL"},
		{"a file that is not there", Options{Audience: audience, KeyFile: file + ".not"}, "no such file"},
		{"a directory", Options{Audience: audience, KeyFile: t.TempDir()}, "not a file"},
		{"no keys in the file", Options{Audience: audience, KeyFile: keyFile(t, jwks(t))}, "holds no key"},
		{"a URL that is none", Options{Audience: audience, JWKSURL: "issuer.example"}, "not a URL"},
		{"a URL that anybody can answer", Options{Audience: audience, JWKSURL: "http://issuer.example/keys"}, "https"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.o); err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("%v, want one about %q", err, tt.why)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range []string{EdDSA, ES256, RS256} {
		b.Run(algorithm, func(b *testing.B) {
			k := signer(algorithm)
			v := newVerifier(b, Options{KeyFile: keyFile(b, jwks(b, k))})
			t := token(b, k)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), t, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
