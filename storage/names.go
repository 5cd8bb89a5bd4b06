package storage

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"
)

// maxVisible is the longest name in bytes that is used in SQL as it is.
const maxVisible = 128

// VisibleNames returns the names by which tables or columns are known in SQL, for
// names that somebody has given to collections or fields. A name stays as it is
// wherever SQL has no trouble with it, quoted if need be. Else it becomes
// "_1a2b3c4d_name", with the start of its SHA-256: if it is taken; if it starts with
// sqlite_, is empty, longer than 128 bytes or has a control character; and all of
// those that differ in the case of their ASCII letters alone, because SQL does not
// tell them apart. So the answer depends on the set of names and not on their order.
// A name for which there is none at all gets "".
func VisibleNames(names []string, taken ...string) []string {
	count := make(map[string]int, len(names)+len(taken))
	for _, n := range taken {
		count[FoldName(n)] += 2
	}
	for _, n := range names {
		count[FoldName(n)]++
	}
	visible := make([]string, len(names))
	for i, n := range names {
		if visible[i] = n; count[FoldName(n)] > 1 || !plainName(n) {
			visible[i] = derivedName(n)
			count[FoldName(visible[i])]++
		}
	}
	for i, n := range visible {
		if count[FoldName(n)] > 1 {
			visible[i] = ""
		}
	}
	return visible
}

// FoldName returns what SQL sees in a name: ASCII letters without their case.
func FoldName(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// QuoteName writes a name as SQL. It must have no NUL.
func QuoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func plainName(s string) bool {
	return s != "" && len(s) <= maxVisible && !strings.HasPrefix(FoldName(s), "sqlite_") && strings.IndexFunc(s, unprintable) < 0
}

func unprintable(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }

func derivedName(s string) string {
	sum := sha256.Sum256([]byte(s))
	readable := strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '_'
		}
		return r
	}, s)
	if runes := []rune(readable); len(runes) > 32 {
		readable = string(runes[:32])
	}
	return fmt.Sprintf("_%x_%s", sum[:4], readable)
}
