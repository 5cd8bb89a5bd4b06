package access

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"syncline/crdt/id"
)

// Access is what somebody may do with a document. Each includes those before it.
type Access int

// The kinds of access.
const (
	None Access = iota
	Read
	Write
)

// String is the word for it in a claim; None has none there.
func (a Access) String() string {
	switch a {
	case None:
		return "none"
	case Read:
		return "read"
	case Write:
		return "write"
	}
	return fmt.Sprintf("access %d", int(a))
}

// ParseAccess reads the word that a claim has for Read or Write.
func ParseAccess(word string) (Access, error) {
	switch word {
	case "read":
		return Read, nil
	case "write":
		return Write, nil
	}
	return None, errors.New(`access is neither "read" nor "write"`)
}

// Rule grants access to the documents whose ids begin with Prefix, raw bytes: all
// 16 are one document, none is every document.
type Rule struct {
	Prefix string
	Access Access
}

// Grant is what a verified token allows. The zero Grant allows nothing. A Grant may
// be copied, and used from several goroutines.
type Grant struct {
	// Account is whom limits count for; "" if there are no accounts.
	Account string
	// Expires is when the grant ends. Zero: never.
	Expires time.Time
	// Admin opens the admin pages.
	Admin bool

	exact    map[id.Document]Access
	prefixes []Rule // shorter than an id
}

// Open is the grant of everybody at a server without access control: all documents,
// for ever. It does not open the admin pages, which know loopback by themselves.
func Open() Grant {
	return Grant{prefixes: []Rule{{Access: Write}}}
}

// newGrant puts rules in the form in which they are looked up.
func newGrant(c Claims) Grant {
	g := Grant{Account: c.Account, Expires: c.Expires, Admin: c.Admin}
	for _, r := range c.Documents {
		if len(r.Prefix) < len(id.Document{}) {
			g.prefixes = append(g.prefixes, r)
			continue
		}
		if g.exact == nil {
			g.exact = make(map[id.Document]Access)
		}
		doc := id.Document([]byte(r.Prefix))
		g.exact[doc] = max(g.exact[doc], r.Access)
	}
	return g
}

// Document is what the grant allows with a document, whatever the time is. It looks
// at each prefix, so what it says is worth keeping for a session.
func (g Grant) Document(doc id.Document) Access {
	widest := g.exact[doc]
	for _, r := range g.prefixes {
		if r.Access > widest && strings.HasPrefix(string(doc[:]), r.Prefix) {
			widest = r.Access
		}
	}
	return widest
}

// Expired reports whether the grant has ended.
func (g Grant) Expired(now time.Time) bool {
	return !g.Expires.IsZero() && !now.Before(g.Expires)
}

// Renew checks that next may take the place of g on a connection: what a connection
// holds is counted for its account, which therefore stays.
func (g Grant) Renew(next Grant) error {
	if g.Account != next.Account {
		return fmt.Errorf("%w: the new access token is of another account; connect again to change accounts", ErrUnauthorised)
	}
	return nil
}
