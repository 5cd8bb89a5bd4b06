package peer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/peer/doctor"
	"syncline/storage"
)

// several damages at once.
var several = []string{
	`UPDATE journal SET body = ` + flipped("body", "30") + ` WHERE seq = ` + middle,
	`UPDATE journal SET head = x'ff' WHERE seq = ` + newest,
	`UPDATE documents SET heads = x'' WHERE id = $DOC`,
	`UPDATE operations SET record = x'00' WHERE row = ` + ours,
	`UPDATE sync_states SET state = x'99' WHERE document = $DOC`,
	`INSERT INTO applying SELECT seq, document, 4711 FROM journal WHERE document = $DOC AND seq >= ` + newest + ` - 2`,
}

// childMends repairs a file, and kills itself at the step whose number it is given.
func childMends() error {
	at, err := strconv.Atoi(os.Getenv(childPoint))
	if err != nil {
		return err
	}
	n := 0
	_, err = Mend(context.Background(), os.Getenv(childPath), CheckupOptions{Step: func(string) {
		if n++; n == at {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}})
	return err
}

func TestARepairThatIsKilledAtAnyStepIsTakenUpAgain(t *testing.T) {
	s := newPatient(t)
	s.hurt(several...)
	hurt := s.path
	steps := 0
	for killed := true; killed; steps++ {
		s.path = filepath.Join(t.TempDir(), fmt.Sprintf("peer-%d.db", steps))
		copyFile(t, hurt, s.path)
		lines, cmd := startChild(t, "mend", childPath+"="+s.path, childPoint+"="+strconv.Itoa(steps+1))
		for range lines {
		}
		killed = cmd.Wait() != nil
		s.mend(CheckupOptions{})
		s.heal()
		if r := s.look(); !r.Healthy() {
			t.Fatalf("killed at step %d and mended again:\n%s", steps+1, words(r))
		}
	}
	if steps < 8 {
		t.Errorf("it was killed at %d steps", steps-1)
	}
}

// Whatever is wrong with the bytes of a file, looking at it and mending it come to an
// end, and what a repair says is mended is.
func TestRandomDamageEndsNothing(t *testing.T) {
	var healthy [2][]byte // the second with tables
	for i, path := range []string{newPatient(t).path, newTabled(t).path} {
		var err error
		if healthy[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	seeds := uint64(60)
	if os.Getenv("SYNCLINE_FULL") != "" {
		seeds = 3000
	}
	found, refused, well := 0, 0, 0
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 11))
		b := slices.Clone(healthy[seed%2])
		switch r.IntN(4) {
		case 0: // a page of something else
			page := 4096 * r.IntN(len(b)/4096)
			for i := range 4096 {
				b[page+i] = byte(r.Uint32())
			}
		case 1:
			b = b[:1+r.IntN(len(b)-1)]
		default:
			for range 1 + r.IntN(20) {
				b[r.IntN(len(b))] ^= byte(1 + r.IntN(255))
			}
		}
		path := filepath.Join(t.TempDir(), "peer.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := Checkup(bounded(t), path, CheckupOptions{})
		switch {
		case err != nil:
			refused++
			continue
		case report.Healthy():
			well++ // the bytes were of no use, or SQLite passes over them
			continue
		}
		found++
		mended, err := Mend(bounded(t), path, CheckupOptions{})
		if err != nil {
			continue // it cannot be opened to be written
		}
		for _, f := range mended.Findings {
			if f.Mend != "" && !f.Note && len(mended.Mended) == 0 {
				t.Errorf("seed %d: a repair mends nothing and says that it could: %+v", seed, f)
			}
		}
	}
	t.Logf("of %d files %d were found damaged, %d not taken for a store, %d sound", seeds, found, refused, well)
	if found < int(seeds)/3 {
		t.Errorf("%d of %d were found damaged", found, seeds)
	}
}

func TestEvidenceIsExportedBeforeAnythingIsMended(t *testing.T) {
	s := newPatient(t)
	s.hurt(several[:1]...)
	blocked := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before := s.look()
	if _, err := Mend(bounded(t), s.path, CheckupOptions{Export: blocked}); err == nil || !strings.Contains(err.Error(), "evidence") {
		t.Errorf("there is no place for evidence: %v", err)
	}
	if after := s.look(); words(after) != words(before) {
		t.Errorf("it was mended without evidence\n%s", words(after))
	}
	r := s.mend(CheckupOptions{})
	names, err := filepath.Glob(filepath.Join(r.Export, "row-*.change"))
	if r.Export != s.path+".evidence" || err != nil || len(names) != 1 {
		t.Fatalf("evidence in %s: %v, %v", r.Export, names, err)
	}
	if b, err := os.ReadFile(names[0]); err != nil || len(b) < 50 || string(b[:4]) != "\x85\x6f\x4a\x83" {
		t.Errorf("it is %x, %v", b, err)
	}
	said, err := os.ReadFile(strings.TrimSuffix(names[0], ".change") + ".json")
	if err != nil || !strings.Contains(string(said), s.theirs.URL()) || !strings.Contains(string(said), filepath.Base(names[0])) {
		t.Errorf("it says %s, %v", said, err)
	}
}

func TestAFileInUseIsLookedAtAndNotMended(t *testing.T) {
	s := newPatient(t)
	p := openPeer(t, s.path, testOptions())
	if r := s.look(); !r.Healthy() || r.Openings != 1 {
		t.Errorf("%d openings\n%s", r.Openings, words(r))
	}
	if _, err := Mend(bounded(t), s.path, CheckupOptions{}); !errors.Is(err, storage.ErrBusy) {
		t.Errorf("mending a file in use: %v", err)
	}
	do(t, &Document{p: p, doc: s.doc}, note("still here"))
}

func TestACopyOfAFileIsFoundAndGetsANameOfItsOwn(t *testing.T) {
	s := newPatient(t)
	twin := filepath.Join(t.TempDir(), "copy.db")
	copyFile(t, s.path, twin)
	c := openPeer(t, twin, remotes(testOptions(), s.relay.url))
	do(t, &Document{p: c, doc: s.doc}, note("of the copy"))
	syncOnce(t, c)
	before := c.StorageID()
	p := openPeer(t, s.path, remotes(testOptions(), s.relay.url))
	syncOnce(t, p)
	jsonOf(t, &Document{p: p, doc: s.doc})
	p.Close()
	found := s.look()
	if got := wrong(found); !slices.Equal(got, []doctor.Kind{doctor.Copy}) {
		t.Fatalf("found %v\n%s", got, words(found))
	}
	if r := s.mend(CheckupOptions{}); !r.Healthy() || len(r.Mended) != 1 {
		t.Fatal(words(r))
	}
	p = openPeer(t, s.path, remotes(testOptions(), s.relay.url))
	if p.StorageID() == before {
		t.Error("it has the storage id of its copy")
	}
	do(t, &Document{p: p, doc: s.doc}, note("of the other"))
	syncOnce(t, p)
	p.Close()
	s.heal()
	if r := s.look(); !r.Healthy() {
		t.Error(words(r))
	}
}

func TestTwinsThatNobodyHasNotedAreFinished(t *testing.T) {
	s := newPatient(t)
	twin := filepath.Join(t.TempDir(), "copy.db")
	copyFile(t, s.path, twin)
	o := remotes(testOptions(), s.relay.url)
	o.mint = func(secret []byte, doc id.Document) id.Actor {
		return id.Actor(string(crdt.DeviceTag(secret, doc)) + "the same")
	}
	for _, path := range []string{twin, s.path} {
		p := openPeer(t, path, o)
		do(t, &Document{p: p, doc: s.doc}, note("on "+filepath.Base(path)))
		syncOnce(t, p)
		p.Close()
	}
	s.hurt(`DELETE FROM quarantine`)
	found := s.look()
	if !slices.Contains(wrong(found), doctor.Twin) {
		t.Fatalf("found\n%s", words(found))
	}
	r := s.mend(CheckupOptions{})
	if slices.Contains(wrong(r), doctor.Twin) {
		t.Errorf("left are\n%s", words(r))
	}
}

// A relay's file has segments in the place of rows, and no rules of a peer.
func TestARelaysFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	store, err := storage.Open(bounded(t), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	doc := id.NewDocument()
	core := crdt.New("a relay's author")
	defer core.Close()
	var changes []*chunk.Change
	var metas []graph.Meta
	for i := range 20 {
		c, err := core.Do(time.Unix(int64(i), 0), note(name(i)))
		if err != nil {
			t.Fatal(err)
		}
		m := graph.MetaOf(c)
		rows, err := store.Append(bounded(t), storage.Batch{
			Entries: []storage.Entry{{Doc: doc, Hash: c.Hash, Actor: c.Actor, ActorSeq: c.Seq, Origin: "somebody", Head: m.Encode(), Body: c.Raw()}},
			Heads:   map[id.Document][]id.Hash{doc: {c.Hash}},
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Row = rows[0]
		changes, metas = append(changes, c), append(metas, m)
	}
	bundle, err := chunk.EncodeBundle(changes[:10])
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Fold(bounded(t), storage.Fold{
		Segment: storage.Segment{Doc: doc, Kind: 3, Level: 1, FirstRow: metas[0].Row, LastRow: metas[9].Row, Rows: 10},
		Index:   graph.EncodeRun(metas[:10]), Body: bundle,
	})
	if err != nil {
		t.Fatal(err)
	}
	store.Close()
	s := &patient{t: t, path: path, doc: doc}
	if r := s.look(); !r.Healthy() || r.Changes != 20 {
		t.Fatalf("%d changes\n%s", r.Changes, words(r))
	}
	for _, c := range []struct {
		damage string
		kind   doctor.Kind
		mends  bool
	}{
		{`INSERT INTO segments (document, kind, level, folds, first_row, last_row, rows, created_ms, part_index, body)
			SELECT $DOC, 0, 1, 0, min(seq), max(seq), 10, 0, x'01', x'02' FROM journal`, doctor.Segment, true},
		{`UPDATE documents SET heads = x''`, doctor.Heads, true},
		{`UPDATE journal SET head = x'00' WHERE seq = 15`, doctor.Head, true},
		{`UPDATE segments SET body = ` + flipped("body", "60"), doctor.Segment, false},
		{`UPDATE journal SET body = x'00' WHERE seq = 16`, doctor.Row, false},
	} {
		s.hurt(c.damage)
		found := s.look()
		if got := wrong(found); !slices.Contains(got, c.kind) || c.mends && len(got) != 1 {
			t.Errorf("%s: found %v\n%s", c.damage, got, words(found))
		}
		r := s.mend(CheckupOptions{})
		if got := slices.Contains(wrong(r), c.kind); got == c.mends {
			t.Errorf("%s: left are\n%s", c.damage, words(r))
		}
	}
}

// What was never sent and builds on a change that is damaged is kept, waits, and goes
// out as soon as the change has come again.
func TestWhatNobodyElseHasSurvivesTheDamageOfWhatItBuildsOn(t *testing.T) {
	s := newPatient(t)
	p := openPeer(t, s.path, testOptions())
	d := &Document{p: p, doc: s.doc}
	do(t, d, note("unsent"))
	do(t, d, note("unsent too"))
	p.Close()
	s.hurt(several[0])
	r := s.mend(CheckupOptions{})
	if got := wrong(r); !slices.Equal(got, []doctor.Kind{doctor.Gap}) || !strings.Contains(words(r), "wait") {
		t.Fatal(words(r))
	}
	p = openPeer(t, s.path, remotes(testOptions(), s.relay.url))
	d = &Document{p: p, doc: s.doc}
	if n := collectionLen(t, d, "notes"); n >= 15 {
		t.Fatalf("%d notes are there, of a document with a gap", n)
	}
	do(t, d, note("made meanwhile"))
	syncOnce(t, p)
	syncOnce(t, s.far)
	converge(t, d, s.theirs)
	if n := collectionLen(t, s.theirs, "notes"); n != 16 {
		t.Errorf("the other peer has %d notes of 16", n)
	}
	p.Close()
	p = openPeer(t, s.path, testOptions()) // what came again lies behind what builds on it
	if n := collectionLen(t, &Document{p: p, doc: s.doc}, "notes"); n != 16 {
		t.Errorf("opened again it has %d notes of 16", n)
	}
	p.Close()
	if r := s.look(); !r.Healthy() {
		t.Error(words(r))
	}
}

// The core is asked last, and only about documents of which every change is sound.
func TestEachSoundDocumentIsLoaded(t *testing.T) {
	s := newPatient(t)
	loaded := map[id.Document]int{}
	refuse := errors.New("the core does not like it")
	o := CheckupOptions{Load: func(_ context.Context, doc id.Document, heads []id.Hash, chunks [][]byte) error {
		loaded[doc] += len(chunks)
		if err := TryLoad(doc, heads, chunks); err != nil {
			t.Errorf("a sound document: %v", err)
		}
		if TryLoad(doc, heads, chunks[1:]) == nil && len(chunks) > 1 {
			t.Error("it loads without its first change")
		}
		if doc == s.doc {
			return refuse
		}
		return nil
	}}
	r, err := Checkup(bounded(t), s.path, o)
	if err != nil {
		t.Fatal(err)
	}
	if got := wrong(r); !slices.Equal(got, []doctor.Kind{doctor.Core}) || loaded[s.doc] != 13 || loaded[s.other] != 1 || !strings.Contains(words(r), refuse.Error()) {
		t.Errorf("found %v, loaded %v\n%s", got, loaded, words(r))
	}
	clear(loaded)
	s.hurt(several[0])
	if _, err = Checkup(bounded(t), s.path, o); err != nil || loaded[s.doc] != 0 || loaded[s.other] != 1 {
		t.Errorf("with a damaged change in one of them, loaded were %v, %v", loaded, err)
	}
	clear(loaded)
	o.Quick = true
	if _, err = Checkup(bounded(t), s.path, o); err != nil || len(loaded) > 0 {
		t.Errorf("in a quick look loaded were %v, %v", loaded, err)
	}
}
