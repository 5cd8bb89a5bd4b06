package crdt

import (
	"strings"
	"unicode/utf8"
)

// maxIntent is the length of a change's message in bytes.
const maxIntent = 200

// intent is what the operation's change says of it. Few words, so that the
// messages of a history compress to nothing.
func (o Operation) intent() string {
	verb := "edit"
	switch o.Verb {
	case VerbCreate, VerbUpdate, VerbDelete, VerbIncrement, VerbSettle:
		verb = string(o.Verb)
	case VerbSet, VerbUnset:
		verb = string(VerbUpdate)
	}
	return verb + " " + o.Collection + "/" + o.ID
}

// intentOf is the message of a batch: the intents of its operations, each once
// in a row, cut where a character ends.
func intentOf(ops []Operation) string {
	var b strings.Builder
	last := ""
	for _, o := range ops {
		s := o.intent()
		if s == last {
			continue
		}
		if last != "" {
			b.WriteString("; ")
		}
		b.WriteString(s)
		last = s
		if b.Len() > maxIntent {
			break
		}
	}
	s := b.String()
	if len(s) <= maxIntent {
		return s
	}
	n := maxIntent
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
