package merge

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The names of the rules.
const (
	None    = ""
	Winner  = "winner"
	Counter = "counter"
	Max     = "max"
	Min     = "min"
	Union   = "union"
	Ranked  = "ranked"
	Last    = "last"
	First   = "first"
	All     = "all"
)

var builtin = []string{None, Winner, Counter, Max, Min, Union, Ranked, Last, First, All}

// Rule says how a set of concurrent values is read. The zero Rule is none.
type Rule struct {
	Name    string
	Version int      // of a function of the app, 0 of what is built in
	States  []string // of Ranked, the lowest first
}

// ErrRule is what the error of a rule that is none wraps.
var ErrRule = errors.New("not a merge rule")

// name is what a function may be called. Short names of few letters stay readable in
// a schema, in a document and in an error.
var name = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

// maxVersion keeps versions within what every language counts exactly.
const maxVersion = 1<<31 - 1

// ParseRule reads a rule as a schema writes it: a name of those above, or name@version
// of a function of the app. The states of Ranked are not part of it.
func ParseRule(s string) (Rule, error) {
	if slices.Contains(builtin, s) {
		return Rule{Name: s}, nil
	}
	n, digits, isFunction := strings.Cut(s, "@")
	if !isFunction {
		return Rule{}, fmt.Errorf("%w: %.80q: want one of %s, or name@version for a function of the app",
			ErrRule, s, strings.Join(builtin[1:], ", "))
	}
	version, err := strconv.Atoi(digits)
	if err != nil || strconv.Itoa(version) != digits {
		return Rule{}, fmt.Errorf("%w: %.80q: the version is a whole number from 1 on, as in pricing@1", ErrRule, s)
	}
	return Rule{Name: n, Version: version}, checkFunction(n, version)
}

// checkFunction says why a function cannot have the name or version.
func checkFunction(n string, version int) error {
	switch {
	case slices.Contains(builtin, n):
		return fmt.Errorf("%w: %q is built in and has no version", ErrRule, n)
	case !name.MatchString(n):
		return fmt.Errorf("%w: %.80q: a function's name has up to 64 lower-case letters, digits and hyphens, and starts with a letter", ErrRule, n)
	case version < 1 || version > maxVersion:
		return fmt.Errorf("%w: version %d of %s: want 1 to %d", ErrRule, version, n, maxVersion)
	}
	return nil
}

// String is what ParseRule reads.
func (r Rule) String() string {
	if r.IsFunction() {
		return r.Name + "@" + strconv.Itoa(r.Version)
	}
	return r.Name
}

// IsFunction reports whether the rule is a function of the app.
func (r Rule) IsFunction() bool { return r.Version != 0 }

// UsesTime reports whether the rule looks at the times of candidates.
func (r Rule) UsesTime() bool { return r.Name == Last || r.Name == First || r.IsFunction() }
