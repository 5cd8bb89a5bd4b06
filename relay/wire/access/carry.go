package access

import (
	"errors"
	"net/http"
	"strings"
)

// Subprotocol is what the server selects of the WebSocket subprotocols that a
// browser offers; the one beside it, which carries the token, is never selected.
const Subprotocol = "syncline.v1"

// tokenProtocol begins the subprotocol that carries a token.
const tokenProtocol = "bearer."

var errTwoTokens = errors.New("two different access tokens were sent; send one")

// FromRequest finds the token in a request, "" if it has none: in the header
// Authorization, as native clients send it, or among the WebSocket subprotocols, as
// browsers do. selected is the subprotocol to answer with, "" for none. It may be
// in both places if it is the same; other schemes of authorization are somebody
// else's, such as a proxy's. An error is to be told after the upgrade.
func FromRequest(r *http.Request) (token, selected string, err error) {
	var tokens []string
	for _, h := range r.Header.Values("Authorization") {
		scheme, t, _ := strings.Cut(strings.TrimSpace(h), " ")
		if strings.EqualFold(scheme, "Bearer") {
			tokens = append(tokens, strings.TrimSpace(t))
		}
	}
	for _, h := range r.Header.Values("Sec-WebSocket-Protocol") {
		for s := range strings.SplitSeq(h, ",") {
			s = strings.TrimSpace(s)
			if s == Subprotocol {
				selected = s
			}
			if t, ok := strings.CutPrefix(s, tokenProtocol); ok {
				tokens = append(tokens, t)
			}
		}
	}
	for _, t := range tokens {
		if token, err = OneToken(token, t); err != nil {
			return "", selected, err
		}
	}
	return token, selected, nil
}

// OneToken makes one of the tokens from two places, such as the request and the
// join: either may be "".
func OneToken(a, b string) (string, error) {
	switch {
	case a == "" || a == b:
		return b, nil
	case b == "":
		return a, nil
	}
	return "", withClass(ErrUnauthorised, errTwoTokens)
}
