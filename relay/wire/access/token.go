package access

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"syncline/relay/wire"
)

// The algorithms that are accepted. Each goes with one kind of key.
const (
	EdDSA = "EdDSA"
	ES256 = "ES256"
	RS256 = "RS256"
)

// envelope is a token whose signature is still to be verified; its payload is not
// to be read before.
type envelope struct {
	algorithm string
	key       string // "" if the header names none
	signed    string // header and payload, as they were signed
	payload   []byte
	signature []byte
}

// openEnvelope takes a token apart and reads its header.
func openEnvelope(token string) (envelope, error) {
	var e envelope
	switch {
	case token == "":
		return e, ErrMissing
	case len(token) > wire.MaxToken:
		return e, fmt.Errorf("the access token has more than %d bytes", wire.MaxToken)
	}
	parts := strings.SplitN(token, ".", 4)
	if len(parts) != 3 {
		return e, errors.New("the access token is not a signed JWT, which has three parts")
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		// The decoder skips line ends, which are not in the alphabet.
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return e, errors.New("the access token is not a JWT: a part of it is not base64url")
		}
	}
	e.signed, e.payload, e.signature = token[:len(parts[0])+1+len(parts[1])], raw[1], raw[2]
	return e, e.readHeader(raw[0])
}

func (e *envelope) readHeader(b []byte) error {
	o, err := parseObject(b)
	if err != nil {
		return fmt.Errorf("the access token's header %w", err)
	}
	if _, ok := o["crit"]; ok {
		return errors.New("the access token's header asks for extensions (crit), of which none is known here")
	}
	if value, ok := o["typ"]; ok && !isJWT(value) {
		return errors.New("the access token's header says that it is something else (typ)")
	}
	if value, ok := o["kid"]; ok {
		if e.key, ok = text(value); !ok || e.key == "" || len(e.key) > wire.MaxName {
			return fmt.Errorf("the access token's kid is not a string of 1 to %d bytes", wire.MaxName)
		}
	}
	e.algorithm, _ = text(o["alg"])
	switch e.algorithm {
	case EdDSA, ES256, RS256:
		return nil
	}
	return fmt.Errorf("the access token's algorithm is none of %s, %s, %s", EdDSA, ES256, RS256)
}

// isJWT knows the types of plain and of OAuth access tokens (RFC 7519, RFC 9068):
// a token that the same issuer made for another end is not to be taken for one.
func isJWT(value []byte) bool {
	kind, _ := text(value)
	switch strings.TrimPrefix(strings.ToLower(kind), "application/") {
	case "jwt", "at+jwt":
		return true
	}
	return false
}

// verify holds the signature against a key.
func (e envelope) verify(k publicKey) error {
	if e.algorithm != k.method.Alg() {
		return errors.New("the access token's algorithm is not that of its key")
	}
	if k.method.Verify(e.signed, e.signature, k.key) != nil {
		return errors.New("the access token's signature is wrong")
	}
	return nil
}

// Unverified is what a token says, whoever wrote it.
type Unverified struct {
	Algorithm string
	Key       string // the kid; "" if it names none
	Payload   []byte // JSON, as it stands in the token
	Claims    Claims
	// Malformed says why the claims, whoever signed them, would be refused.
	Malformed error
}

// Decode shows a token to people. It verifies nothing.
func Decode(token string) (Unverified, error) {
	e, err := openEnvelope(token)
	if err != nil {
		return Unverified{}, err
	}
	u := Unverified{Algorithm: e.algorithm, Key: e.key, Payload: e.payload}
	u.Claims, u.Malformed = parseClaims(e.payload)
	return u, nil
}
