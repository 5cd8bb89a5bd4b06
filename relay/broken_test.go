package relay

import (
	"database/sql"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"syncline/crdt/id"
)

// TestADamagedDocumentIsTurnedAwayAlone damages what the store keeps of a document
// that rests with a connection in it.
func TestADamagedDocumentIsTurnedAwayAlone(t *testing.T) {
	s := serve(t, Options{})
	r := newReplica(t, id.NewDocument(), "a")
	r.edit("k")
	first := join(t, s.url, "first")
	first.sync(r)
	first.acked(r)
	until(t, "the room rests", func() bool { awake, asleep := s.halls.count(); return awake == 0 && asleep == 1 })

	s.damage(t)
	second := join(t, s.url, "second")
	second.sync(newReplica(t, r.doc, "b"))
	second.until("it is told", func() bool { return len(second.unavailable) == 1 && len(second.errors) == 1 })
	if !strings.Contains(second.errors[0], r.doc.String()) {
		t.Errorf("it was told %q", second.errors)
	}
	r.edit("k")
	first.sync(r) // who was there before is told, and not harmed
	first.alive()
	if len(first.errors) != 1 {
		t.Errorf("who was there was told %q", first.errors)
	}
	second.alive()
}

// damage makes what the store keeps of every document unreadable.
func (s *server) damage(t *testing.T) {
	t.Helper()
	db, err := sql.Open("sqlite3", s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{`DROP TRIGGER journal_is_never_updated`, `UPDATE journal SET head = x'ff'`} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
}
