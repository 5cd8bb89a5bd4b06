package accesstest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"syncline/crdt/session"
	"syncline/relay/wire"
)

// Told says what a client was told, in words that the tables of tests have: the
// messages in these frames, in no order, and the close code, 0 if it was not closed.
func Told(t *testing.T, frames [][]byte, closed wire.CloseCode) string {
	t.Helper()
	var said []string
	for _, b := range frames {
		m, err := wire.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *wire.Sync:
			sm, err := session.Decode(m.Data)
			if err != nil {
				t.Fatal(err)
			}
			changes, err := sm.Changes()
			if err != nil {
				t.Fatal(err)
			}
			said = append(said, fmt.Sprintf("sync(%s, %s)", many(len(sm.Heads), "head"), many(len(changes), "change")))
		case *wire.Notice:
			said = append(said, fmt.Sprintf("notice(%s)", m.Code))
		default:
			said = append(said, m.Type())
		}
	}
	slices.Sort(said) // a refusal and an answer may come in either order
	if closed != 0 {
		said = append(said, fmt.Sprintf("close %d", closed))
	}
	return strings.Join(said, " ")
}

func many(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprint(n, " ", what)
}
