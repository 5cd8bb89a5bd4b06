package access

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestTokensAreFoundInRequests(t *testing.T) {
	const authorization, protocols = "Authorization", "Sec-WebSocket-Protocol"
	tests := []struct {
		name            string
		header          http.Header
		token, selected string
		twice           bool
	}{
		{"none", http.Header{}, "", "", false},
		{"in the header", http.Header{authorization: {"Bearer aaa.b-b.c_c"}}, "aaa.b-b.c_c", "", false},
		{"the scheme in other letters", http.Header{authorization: {"bEARER  t "}}, "t", "", false},
		{"a scheme and nothing else", http.Header{authorization: {"Bearer"}}, "", "", false},
		{"another scheme", http.Header{authorization: {"Basic dXNlcjpwYXNz"}}, "", "", false},
		{"a browser", http.Header{protocols: {"syncline.v1, bearer.t"}}, "t", Subprotocol, false},
		{"a browser, the other way about", http.Header{protocols: {"bearer.t,syncline.v1"}}, "t", Subprotocol, false},
		{"protocols in two headers", http.Header{protocols: {"syncline.v1", "bearer.t"}}, "t", Subprotocol, false},
		{"a browser without a token", http.Header{protocols: {"syncline.v1"}}, "", Subprotocol, false},
		{"a token and no protocol to select", http.Header{protocols: {"bearer.t"}}, "t", "", false},
		{"other protocols", http.Header{protocols: {"chat, syncline.v2, bearer"}}, "", "", false},
		{"a proxy's password beside it", http.Header{authorization: {"Basic dXNlcjpwYXNz"}, protocols: {"syncline.v1, bearer.t"}}, "t", Subprotocol, false},
		{"the same in both places", http.Header{authorization: {"Bearer t"}, protocols: {"syncline.v1, bearer.t"}}, "t", Subprotocol, false},
		{"different ones", http.Header{authorization: {"Bearer t"}, protocols: {"syncline.v1, bearer.u"}}, "", Subprotocol, true},
		{"two headers", http.Header{authorization: {"Bearer t", "Bearer u"}}, "", "", true},
		{"two, and the first again", http.Header{authorization: {"Bearer t", "Bearer u", "Bearer t"}}, "", "", true},
		{"two protocols with tokens", http.Header{protocols: {"bearer.t, bearer.u, syncline.v1"}}, "", Subprotocol, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := make(http.Header)
			for name, values := range tt.header {
				header[http.CanonicalHeaderKey(name)] = values
			}
			token, selected, err := FromRequest(&http.Request{Header: header})
			if token != tt.token || selected != tt.selected || errors.Is(err, ErrUnauthorised) != tt.twice {
				t.Errorf("%q, %q, %v; want %q, %q, refused: %v", token, selected, err, tt.token, tt.selected, tt.twice)
			}
		})
	}
}

func TestOneTokenOfTwoPlaces(t *testing.T) {
	for _, tt := range []struct{ a, b, want string }{{"", "", ""}, {"t", "", "t"}, {"", "t", "t"}, {"t", "t", "t"}} {
		if got, err := OneToken(tt.a, tt.b); got != tt.want || err != nil {
			t.Errorf("of %q and %q: %q, %v", tt.a, tt.b, got, err)
		}
	}
	got, err := OneToken("first-token", "second-token")
	if got != "" || !errors.Is(err, ErrUnauthorised) || strings.Contains(err.Error(), "-token") {
		t.Errorf("of two: %q, %v", got, err)
	}
}
