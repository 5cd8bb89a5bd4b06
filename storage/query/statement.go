package query

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"syncline/storage"
)

// statement is what is known of SQL before SQLite sees it.
type statement struct {
	text string
	// names are all that may name something in it: identifiers, and quoted words,
	// which SQLite may take for identifiers. Folded.
	names map[string]bool
}

// starts are the words that a statement may start with. The authorizer decides; this
// is for a better message, and for what has no action of its own (VACUUM).
var starts = []string{"select", "with", "values", "explain"}

// parse reads as much of SQL as is needed to see where a statement ends. The driver
// would silently leave out, or run, what follows it.
func parse(text string, limit int) (*statement, error) {
	switch {
	case len(text) > limit:
		return nil, fmt.Errorf("%w: the statement has %d bytes, at most %d are allowed", ErrRefused, len(text), limit)
	case !utf8.ValidString(text):
		return nil, fmt.Errorf("%w: the statement is not UTF-8", ErrRefused)
	case strings.ContainsRune(text, 0):
		return nil, fmt.Errorf("%w: the statement has a NUL character", ErrRefused)
	}
	s := &statement{text: text, names: map[string]bool{}}
	first, ended := "", false
	for rest := text; rest != ""; {
		n, word := token(rest)
		raw := rest[:n]
		rest = rest[n:]
		switch {
		case word == "" && blank(raw):
		case raw == ";":
			ended = ended || first != ""
		case ended:
			return nil, fmt.Errorf("%w: one statement at a time; there is more after the semicolon", ErrRefused)
		case first == "":
			first = raw
			if !slices.Contains(starts, storage.FoldName(raw)) {
				return nil, fmt.Errorf("%w: a statement that starts with %s does not only read; use SELECT, WITH, VALUES or EXPLAIN", ErrRefused, shorten(raw))
			}
		default:
			if word != "" {
				s.names[storage.FoldName(word)] = true
			}
		}
	}
	if first == "" {
		return nil, fmt.Errorf("%w: there is no statement", ErrSQL)
	}
	return s, nil
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 20 {
		s = string(r[:20]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// blank reports whether a token is space or a comment.
func blank(raw string) bool {
	return strings.TrimLeft(raw, " \t\n\f\r") == "" || strings.HasPrefix(raw, "--") || strings.HasPrefix(raw, "/*")
}

// token returns the length of the first token of a text that is not empty, as SQLite
// cuts it, and the word that it is, without quotes, if it may name something.
func token(s string) (n int, word string) {
	switch c := s[0]; {
	case strings.HasPrefix(s, "--"):
		if i := strings.IndexByte(s, '\n'); i >= 0 {
			return i + 1, ""
		}
		return len(s), ""
	case strings.HasPrefix(s, "/*") && len(s) > 2:
		if i := strings.Index(s[2:], "*/"); i >= 0 {
			return i + 4, ""
		}
		return len(s), ""
	case c == '\'' || c == '"' || c == '`':
		return quoted(s, c)
	case c == '[':
		if i := strings.IndexByte(s, ']'); i >= 0 {
			return i + 1, s[1:i]
		}
		return len(s), ""
	case inWord(c):
		for n = 1; n < len(s) && inWord(s[n]); n++ {
		}
		return n, s[:n]
	case strings.IndexByte(" \t\n\f\r", c) >= 0:
		return len(s) - len(strings.TrimLeft(s, " \t\n\f\r")), ""
	}
	return 1, ""
}

// quoted returns a quoted token, in which a doubled quote stands for one.
func quoted(s string, quote byte) (n int, word string) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] == quote {
			if i+1 == len(s) || s[i+1] != quote {
				return i + 1, b.String()
			}
			i++
		}
		b.WriteByte(s[i])
	}
	return len(s), ""
}

func inWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
