package access

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"syncline/crdt/id"
	"syncline/relay/wire"
)

const (
	// MaxRules bounds the entries for documents in a token. A token of wire.MaxToken
	// has room for about a hundred ids; whoever needs more wants a prefix.
	MaxRules = 128

	// maxAudiences bounds the list of audiences, which is searched.
	maxAudiences = 32

	// lastSecond is the end of the year 9999, past which no date can be written.
	lastSecond = 253402300799
)

// Claims are what a token says.
type Claims struct {
	Account   string
	Audience  []string
	Issuer    string    // "" if it names none
	Expires   time.Time // to the second, as the next two
	NotBefore time.Time // zero if it has none
	IssuedAt  time.Time // zero if it has none
	Documents []Rule
	Admin     bool
}

// parseClaims reads a payload. Its errors name the place and quote nothing.
func parseClaims(payload []byte) (Claims, error) {
	var c Claims
	o, err := parseObject(payload)
	if err != nil {
		return c, fmt.Errorf("its payload %w", err)
	}
	if c.Account, err = parseAccount(o["sub"]); err != nil {
		return c, err
	}
	if c.Audience, err = parseAudience(o["aud"]); err != nil {
		return c, err
	}
	if value, ok := o["iss"]; ok {
		if c.Issuer, ok = text(value); !ok {
			return c, errors.New("its iss is not a string")
		}
	}
	if c.Expires, err = parseTime(o, "exp"); err != nil {
		return c, err
	}
	if c.Expires.IsZero() {
		return c, errors.New("it has no exp")
	}
	if c.NotBefore, err = parseTime(o, "nbf"); err != nil {
		return c, err
	}
	if c.IssuedAt, err = parseTime(o, "iat"); err != nil {
		return c, err
	}
	return c, c.parseGrants(o["syncline"])
}

func parseAccount(value json.RawMessage) (string, error) {
	account, ok := text(value)
	switch {
	case value == nil:
		return "", errors.New("it has no sub")
	case !ok:
		return "", errors.New("its sub is not a string")
	case account == "":
		return "", errors.New("its sub is empty")
	case len(account) > wire.MaxName:
		return "", fmt.Errorf("its sub has more than %d bytes", wire.MaxName)
	case strings.ContainsFunc(account, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return "", errors.New("its sub has characters that cannot be printed")
	}
	return account, nil
}

func parseAudience(value json.RawMessage) ([]string, error) {
	if value == nil {
		return nil, errors.New("it has no aud")
	}
	if one, ok := text(value); ok {
		return []string{one}, nil
	}
	values, ok := list(value)
	if !ok {
		return nil, errors.New("its aud is neither a string nor a list of them")
	}
	if len(values) > maxAudiences {
		return nil, fmt.Errorf("its aud lists more than %d", maxAudiences)
	}
	audience := make([]string, len(values))
	for i, v := range values {
		if audience[i], ok = text(v); !ok {
			return nil, errors.New("its aud is neither a string nor a list of them")
		}
	}
	return audience, nil
}

// parseTime reads seconds since 1970, the fraction cut off. Zero: there are none.
func parseTime(o object, name string) (time.Time, error) {
	value, ok := o[name]
	if !ok {
		return time.Time{}, nil
	}
	seconds, ok := number(value)
	if !ok {
		return time.Time{}, fmt.Errorf("its %s is not a number", name)
	}
	if seconds < 1 || seconds > lastSecond {
		return time.Time{}, fmt.Errorf("its %s is not a time in seconds since 1970", name)
	}
	return time.Unix(int64(math.Floor(seconds)), 0), nil
}

// parseGrants reads the claim that is ours.
func (c *Claims) parseGrants(value json.RawMessage) error {
	if value == nil {
		return errors.New("it has no syncline claim, so it grants nothing")
	}
	o, err := parseObject(value)
	if err != nil {
		return fmt.Errorf("its syncline claim %w", err)
	}
	for name := range o {
		if name != "docs" && name != "admin" {
			return errors.New("its syncline claim has a member that is neither docs nor admin")
		}
	}
	if value, ok := o["admin"]; ok {
		if c.Admin, ok = boolean(value); !ok {
			return errors.New("its syncline.admin is neither true nor false")
		}
	}
	if value, ok := o["docs"]; ok {
		entries, ok := list(value)
		if !ok {
			return errors.New("its syncline.docs is not a list")
		}
		if len(entries) > MaxRules {
			return fmt.Errorf("its syncline.docs has more than %d entries; grant a prefix", MaxRules)
		}
		for i, entry := range entries {
			r, err := parseRule(entry)
			if err != nil {
				return fmt.Errorf("its syncline.docs[%d] %w", i, err)
			}
			c.Documents = append(c.Documents, r)
		}
	}
	if len(c.Documents) == 0 && !c.Admin {
		return errors.New("its syncline claim grants nothing")
	}
	return nil
}

func parseRule(value json.RawMessage) (r Rule, err error) {
	o, err := parseObject(value)
	if err != nil {
		return r, err
	}
	for name := range o {
		if name != "id" && name != "prefix" && name != "access" {
			return r, errors.New("has a member that is neither id, prefix nor access")
		}
	}
	word, ok := text(o["access"])
	if !ok {
		return r, errors.New("has no access")
	}
	if r.Access, err = ParseAccess(word); err != nil {
		return r, fmt.Errorf("has an %w", err)
	}
	name, isID := o["id"]
	prefix, isPrefix := o["prefix"]
	if isID == isPrefix {
		return r, errors.New("needs either an id or a prefix")
	}
	if isPrefix {
		digits, _ := text(prefix)
		if r.Prefix, err = ParsePrefix(digits); err != nil {
			return r, fmt.Errorf("has a prefix that is %w", err)
		}
		return r, nil
	}
	written, _ := text(name)
	if written == everyDocument {
		return r, nil
	}
	doc, err := id.ParseDocument(written)
	if err != nil {
		return r, errors.New("has an id that is not a document's")
	}
	r.Prefix = string(doc[:])
	return r, nil
}

// everyDocument stands for all ids.
const everyDocument = "*"

// ParsePrefix reads the hexadecimal digits of the bytes that ids begin with.
func ParsePrefix(digits string) (string, error) {
	raw, err := hex.DecodeString(digits)
	if err != nil || digits != strings.ToLower(digits) || len(raw) == 0 || len(raw) > len(id.Document{}) {
		return "", errors.New("not 1 to 16 bytes in lower-case hexadecimal digits")
	}
	return string(raw), nil
}

// MarshalJSON writes the claims as a payload has them.
func (c Claims) MarshalJSON() ([]byte, error) {
	type entry struct {
		ID     string `json:"id,omitempty"`
		Prefix string `json:"prefix,omitempty"`
		Access string `json:"access"`
	}
	var out struct {
		Issuer    string   `json:"iss,omitempty"`
		Account   string   `json:"sub"`
		Audience  []string `json:"aud"`
		IssuedAt  int64    `json:"iat,omitempty"`
		NotBefore int64    `json:"nbf,omitempty"`
		Expires   int64    `json:"exp"`
		Syncline  struct {
			Docs  []entry `json:"docs,omitempty"`
			Admin bool    `json:"admin,omitempty"`
		} `json:"syncline"`
	}
	out.Issuer, out.Account, out.Audience = c.Issuer, c.Account, c.Audience
	out.Expires = c.Expires.Unix()
	if !c.IssuedAt.IsZero() {
		out.IssuedAt = c.IssuedAt.Unix()
	}
	if !c.NotBefore.IsZero() {
		out.NotBefore = c.NotBefore.Unix()
	}
	for _, r := range c.Documents {
		e := entry{Access: r.Access.String()}
		switch len(r.Prefix) {
		case 0:
			e.ID = everyDocument
		case len(id.Document{}):
			e.ID = id.Document([]byte(r.Prefix)).URL()
		default:
			e.Prefix = hex.EncodeToString([]byte(r.Prefix))
		}
		out.Syncline.Docs = append(out.Syncline.Docs, e)
	}
	out.Syncline.Admin = c.Admin
	return json.Marshal(out)
}

// check holds claims against what is asked of them.
func (c Claims) check(o Options, now time.Time) error {
	switch {
	case !slices.Contains(c.Audience, o.Audience):
		return fmt.Errorf("%w: the access token is for another audience", ErrUnauthorised)
	case o.Issuer != "" && c.Issuer != o.Issuer:
		return fmt.Errorf("%w: the access token is of another issuer", ErrUnauthorised)
	case !now.Before(c.Expires):
		return ErrExpired
	case c.NotBefore.After(now.Add(o.Leeway)):
		return fmt.Errorf("%w: the access token is not valid yet; see whether the clocks agree", ErrUnauthorised)
	case c.IssuedAt.After(now.Add(o.Leeway)):
		return fmt.Errorf("%w: the access token was issued in the future; see whether the clocks agree", ErrUnauthorised)
	}
	return nil
}
