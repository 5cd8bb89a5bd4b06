package access

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// request is that of a WebSocket, from this machine unless more is said.
func request(header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:3031/", nil)
	r.RemoteAddr = "127.0.0.1:50000"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func TestAGateAdmits(t *testing.T) {
	key := makeSigner(t)
	verifier := newVerifier(t, Options{KeyFile: keyFile(t, jwks(t, key))})
	signed, secret := Gate{Verifier: verifier}, Gate{Secrets: []string{"open", "sesame"}}
	both := Gate{Verifier: verifier, Secrets: secret.Secrets}
	good, err := key.Sign(Claims{Account: "a", Audience: []string{audience}, Expires: now.AddDate(100, 0, 0), Documents: []Rule{{Access: Write}}})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := request()
	elsewhere.RemoteAddr = "192.0.2.1:50000"
	rebound := request()
	rebound.Host = "attacker.example"
	bearer := func(token string) *http.Request { return request("Authorization", "Bearer "+token) }
	page := func(origin string) *http.Request { return request("Origin", origin) }
	tests := []struct {
		name   string
		g      Gate
		r      *http.Request
		joined string
		want   error
	}{
		{"open to all", Gate{}, elsewhere, "", nil},
		{"open to all, and a token nobody asked for", Gate{}, bearer("x"), "y", nil},
		{"open, a page of this machine", Gate{}, page("http://localhost:5173"), "", nil},
		{"open, a page of another", Gate{}, page("https://app.example"), "", ErrForbidden},
		{"open to this machine", Gate{HereOnly: true}, request(), "", nil},
		{"open to this machine, from another", Gate{HereOnly: true}, elsewhere, "", ErrForbidden},
		{"open to this machine, through a proxy", Gate{HereOnly: true}, request("X-Forwarded-For", "192.0.2.1"), "", ErrForbidden},
		{"open to this machine, by another name", Gate{HereOnly: true}, rebound, "", ErrForbidden},
		{"a token, from another machine", Gate{Verifier: verifier, HereOnly: true}, elsewhere, good, nil},
		{"a token in the header", signed, bearer(good), "", nil},
		{"a token in the join", signed, request(), good, nil},
		{"a token in both", signed, bearer(good), good, nil},
		{"two tokens", signed, bearer(good), "other", ErrUnauthorised},
		{"none", signed, request(), "", ErrMissing},
		{"a bad one", signed, bearer("bad"), "", ErrUnauthorised},
		{"a secret that is not known", signed, bearer("sesame"), "", ErrUnauthorised},
		{"a secret", secret, bearer("sesame"), "", nil},
		{"no secret", secret, request(), "", ErrMissing},
		{"another", secret, bearer("simsim"), "", ErrUnauthorised},
		{"a token where there are secrets only", secret, bearer(good), "", ErrUnauthorised},
		{"a secret beside tokens", both, bearer("open"), "", nil},
		{"a token beside secrets", both, bearer(good), "", nil},
		{"a good token and a page of another machine", signed, request("Origin", "https://app.example", "Authorization", "Bearer "+good), "", ErrForbidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := tt.g.Admit(t.Context(), tt.g.Visit(tt.r), tt.joined)
			if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			want := Write
			if err != nil {
				want = None
			}
			if got := g.Document([16]byte{1}); got != want {
				t.Errorf("grants %v, want %v", got, want)
			}
		})
	}
	empty := Gate{Secrets: []string{""}}
	if _, err := empty.Admit(t.Context(), empty.Visit(request()), ""); !errors.Is(err, ErrMissing) {
		t.Errorf("a secret that is empty, as of a variable that was not set, lets in: %v", err)
	}
}
