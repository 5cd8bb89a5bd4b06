package peer

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"syncline/crdt/id"
	"syncline/peer/doctor"
)

// patient is the file of a peer that has synced a document with a relay, and with
// another peer; and has another document, which nothing is done to.
type patient struct {
	t       *testing.T
	relay   *server
	far     *Peer
	theirs  *Document
	path    string
	doc     id.Document
	other   id.Document
	healthy string // the other document's content
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	s := &patient{t: t, relay: serveRelay(t), path: filepath.Join(t.TempDir(), "peer.db")}
	s.far = newPeer(t, s.relay.url)
	s.theirs = create(t, s.far)
	s.doc = s.theirs.ID()
	for i := range 5 {
		do(t, s.theirs, note("far "+name(i)))
	}
	syncOnce(t, s.far)
	p := openPeer(t, s.path, remotes(testOptions(), s.relay.url))
	other := create(t, p)
	do(t, other, note("apart"))
	s.other, s.healthy = other.ID(), jsonOf(t, other)
	s.syncWanted(p)
	d, err := p.OpenDocument(bounded(t), s.doc)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		do(t, d, note("near "+name(i)))
	}
	syncOnce(t, p)
	syncOnce(t, s.far)
	for i := range 3 {
		do(t, s.theirs, note("late "+name(i)))
	}
	syncOnce(t, s.far)
	syncOnce(t, p)
	jsonOf(t, d) // so that nothing waits for the core
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// syncWanted gets the document from the relay.
func (s *patient) syncWanted(p *Peer) {
	s.t.Helper()
	if _, err := p.Sync(bounded(s.t), SyncOptions{Documents: []id.Document{s.doc}}); err != nil {
		s.t.Fatal(err)
	}
}

func syncOnce(t testing.TB, p *Peer) {
	t.Helper()
	if _, err := p.Sync(bounded(t), SyncOptions{}); err != nil {
		t.Fatal(err)
	}
}

// hurt runs statements on the file as nobody of ours would.
func (s *patient) hurt(statements ...string) {
	s.t.Helper()
	db, err := sql.Open("sqlite3", s.path+"?_busy_timeout=0")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var triggers [][2]string
	rows, err := db.Query(`SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'`)
	if err != nil {
		s.t.Fatal(err)
	}
	for rows.Next() {
		var trigger [2]string
		if err := rows.Scan(&trigger[0], &trigger[1]); err != nil {
			s.t.Fatal(err)
		}
		triggers = append(triggers, trigger)
	}
	rows.Close()
	exec := func(q string) {
		s.t.Helper()
		q = strings.ReplaceAll(q, "$DOC", fmt.Sprintf("(SELECT id FROM documents WHERE doc = x'%x')", s.doc[:]))
		if _, err := db.Exec(q); err != nil {
			s.t.Fatalf("%s: %v", q, err)
		}
	}
	for _, trigger := range triggers {
		exec("DROP TRIGGER " + trigger[0])
	}
	for _, q := range statements {
		exec(q)
	}
	for _, trigger := range triggers {
		if !slices.ContainsFunc(statements, func(q string) bool { return strings.Contains(q, "-- no "+trigger[0]) }) {
			exec(trigger[1])
		}
	}
}

func (s *patient) look() *doctor.Report {
	s.t.Helper()
	r, err := Checkup(bounded(s.t), s.path, CheckupOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *patient) mend(o CheckupOptions) *doctor.Report {
	s.t.Helper()
	r, err := Mend(bounded(s.t), s.path, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// heal syncs the file with the relay, and compares the document with that of the
// other peer.
func (s *patient) heal() {
	s.t.Helper()
	p := openPeer(s.t, s.path, remotes(testOptions(), s.relay.url))
	defer p.Close()
	for range 2 { // what waited for a change that has come goes with the second
		syncOnce(s.t, p)
		syncOnce(s.t, s.far)
	}
	d, err := p.OpenDocument(bounded(s.t), s.doc)
	if err != nil {
		s.t.Fatal(err)
	}
	converge(s.t, d, s.theirs)
	if n := collectionLen(s.t, d, "notes"); n < 13 {
		s.t.Errorf("%d notes are left of 13", n)
	}
	other, err := p.OpenDocument(bounded(s.t), s.other)
	if err != nil {
		s.t.Fatal(err)
	}
	if got := jsonOf(s.t, other); got != s.healthy {
		s.t.Errorf("the other document is now %s", got)
	}
}

// wrong lists the kinds of what is wrong, each once.
func wrong(r *doctor.Report) (kinds []doctor.Kind) {
	for _, f := range r.Findings {
		if !f.Note && !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	return kinds
}

func words(r *doctor.Report) string {
	var b strings.Builder
	for _, f := range append(slices.Clone(r.Findings), r.Mended...) {
		fmt.Fprintf(&b, "%s row %d %s %s: %s (mend: %s; why: %s; note %v, fixed %v)\n", f.Kind, f.Row, f.Hash, f.Name, f.What, f.Mend, f.Why, f.Note, f.Fixed)
	}
	return b.String()
}

// flipped is SQL for a blob with one of its bytes another, whatever it was.
func flipped(column string, at string) string {
	return fmt.Sprintf(`CAST(substr(%[1]s, 1, %[2]s) || iif(substr(%[1]s, %[2]s + 1, 1) = x'5a', x'a5', x'5a') || substr(%[1]s, %[2]s + 2) AS BLOB)`, column, at)
}

const middle = `(SELECT seq FROM journal WHERE document = $DOC AND origin <> '' ORDER BY seq LIMIT 1 OFFSET 2)`
const ours = `(SELECT seq FROM journal WHERE document = $DOC AND origin = '' ORDER BY seq LIMIT 1 OFFSET 1)`
const newest = `(SELECT max(seq) FROM journal WHERE document = $DOC)`

// damages are what may happen to a file: each is found as its kind, and as that only.
var damages = []struct {
	name   string
	kind   doctor.Kind
	damage []string
	left   bool // it is not mended, and syncing mends nothing either
}{
	{"a change whose bytes have rotted", doctor.Row, []string{`UPDATE journal SET body = ` + flipped("body", "length(body) / 2") + ` WHERE seq = ` + middle}, false},
	{"a change of ours whose bytes have rotted", doctor.Row, []string{`UPDATE journal SET body = ` + flipped("body", "length(body) - 3") + ` WHERE seq = ` + ours}, false},
	{"the newest change cut short", doctor.Row, []string{`UPDATE journal SET body = substr(body, 1, 40) WHERE seq = ` + newest}, false},
	{"an empty change", doctor.Row, []string{`UPDATE journal SET body = x'' WHERE seq = ` + middle}, false},
	{"all changes rotten", doctor.Row, []string{`UPDATE journal SET body = ` + flipped("body", "20") + ` WHERE document = $DOC`}, false},
	{"a row under another hash", doctor.Hash, []string{`UPDATE journal SET hash = ` + flipped("hash", "7") + ` WHERE seq = ` + middle}, false},
	{"the newest row under another hash", doctor.Hash, []string{`UPDATE journal SET hash = ` + flipped("hash", "7") + ` WHERE seq = ` + newest}, false},
	{"metadata that does not decode", doctor.Head, []string{`UPDATE journal SET head = x'ff' WHERE seq = ` + middle}, false},
	{"metadata with another number", doctor.Head, []string{`UPDATE journal SET head = ` + flipped("head", "1") + ` WHERE seq = ` + newest}, false},
	{"another author beside the change", doctor.Head, []string{`UPDATE journal SET actor = x'00ff' WHERE seq = ` + middle}, false},
	{"another number beside the change", doctor.Head, []string{`UPDATE journal SET actor_seq = actor_seq + 7 WHERE seq = ` + middle}, false},
	{"heads of another state", doctor.Heads, []string{`UPDATE documents SET heads = zeroblob(64) WHERE id = $DOC`}, false},
	{"no heads", doctor.Heads, []string{`UPDATE documents SET heads = x'' WHERE id = $DOC`}, false},
	{"wrong counts", doctor.Count, []string{`UPDATE documents SET raw_changes = raw_changes + 3 WHERE id = $DOC`}, false},
	{"a sync state that does not decode", doctor.SyncState, []string{`UPDATE sync_states SET state = x'99' WHERE document = $DOC`}, false},
	{"a record that cannot be read", doctor.Record, []string{`UPDATE operations SET record = x'00' WHERE row = ` + ours}, false},
	{"an operation without a record", doctor.Record, []string{`DELETE FROM operations WHERE row = ` + ours}, false},
	{"a record without a change", doctor.Record, []string{`INSERT INTO operations SELECT 99999, document, zeroblob(32), time_ms, record FROM operations WHERE row = ` + ours}, true},
	{"a mark of a change that is not there", doctor.Foreign, []string{`PRAGMA foreign_keys = OFF`, `INSERT INTO applying VALUES (99999, $DOC, 0)`}, false},
	{"a change of a document that is not there", doctor.Foreign, []string{`PRAGMA foreign_keys = OFF`, `INSERT INTO quarantine SELECT 77, 4711, hash, 'x', '', 0, body FROM journal WHERE seq = ` + ours}, true},
	{"a process that died over a change", doctor.Applying, []string{`INSERT INTO applying SELECT seq, document, 4711 FROM journal WHERE document = $DOC AND seq >= ` + newest + ` - 2`}, false},
	{"a trigger is missing", doctor.Schema, []string{`SELECT 1 -- no journal_is_never_updated`}, false},
	{"an index is missing", doctor.Schema, []string{`DROP INDEX operations_document`}, false},
	{"a table is missing", doctor.Schema, []string{`ALTER TABLE undelivered RENAME TO other`}, true},
	{"a gap", doctor.Gap, []string{`PRAGMA foreign_keys = OFF`, `UPDATE documents SET (changes, raw_changes, raw_bytes) = (changes - 1, raw_changes - 1,
		raw_bytes - (SELECT length(body) FROM journal WHERE seq = ` + middle + `)) WHERE id = $DOC`, `DELETE FROM journal WHERE seq = ` + middle}, true},
}

func TestDamageIsFoundAsWhatItIsAndMended(t *testing.T) {
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			s := newPatient(t)
			if r := s.look(); !r.Healthy() || r.Documents != 2 || r.Changes != 14 {
				t.Fatalf("healthy, it has %d documents, %d changes and\n%s", r.Documents, r.Changes, words(r))
			}
			s.hurt(c.damage...)
			found := s.look()
			if got := wrong(found); !slices.Equal(got, []doctor.Kind{c.kind}) {
				t.Fatalf("found %v, want %s\n%s", got, c.kind, words(found))
			}
			for _, f := range found.Findings {
				if !f.Note && (f.What == "" || (f.Mend == "") == (f.Why == "")) {
					t.Errorf("%+v does not say what is and will be", f)
				}
			}
			mended := s.mend(CheckupOptions{})
			if c.left {
				if got := wrong(mended); !slices.Equal(got, []doctor.Kind{c.kind}) {
					t.Errorf("left are %v, want %s\n%s", got, c.kind, words(mended))
				}
				return
			}
			if len(mended.Mended) == 0 {
				t.Errorf("nothing was mended\n%s", words(mended))
			}
			s.heal()
			if r := s.look(); !r.Healthy() {
				t.Errorf("after mending and syncing\n%s", words(r))
			}
		})
	}
}
