package crdt_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
)

var docTime = time.Unix(1_700_000_000, 0)

// openDoc returns an empty document that the test closes.
func openDoc(t testing.TB, actor string) *crdt.Document {
	t.Helper()
	d := crdt.New(id.Actor(actor))
	t.Cleanup(d.Close)
	return d
}

// docDo carries out a batch that must succeed, and the change must be one that
// every peer takes.
func docDo(t testing.TB, d *crdt.Document, ops ...crdt.Operation) *chunk.Change {
	t.Helper()
	c, err := d.Do(docTime, ops...)
	if err != nil {
		t.Fatalf("do %+v: %v", ops, err)
	}
	return c
}

// docGate is the way of a remote change: alone, in the graph, in its document.
type docGate struct{ *receiver }

func newDocGate() *docGate { return &docGate{newReceiver()} }

// take returns the changes that are new as another peer would have parsed them.
func (p *docGate) take(changes []*chunk.Change) ([]*chunk.Change, error) {
	var out []*chunk.Change
	for _, c := range changes {
		if p.graph.Contains(c.Hash) {
			continue
		}
		again, err := chunk.ParseChange(c.Raw())
		if err == nil {
			err = p.receiver.take(again)
		}
		if err != nil {
			return nil, fmt.Errorf("change %s of %s: %w", c.Hash, c.Actor, err)
		}
		out = append(out, again)
	}
	return out, nil
}

func (p *docGate) pass(t testing.TB, changes ...*chunk.Change) []*chunk.Change {
	t.Helper()
	out, err := p.take(changes)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func docJSON(t testing.TB, d interface{ JSON() ([]byte, error) }) string {
	t.Helper()
	b, err := d.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDocumentDoesEveryVerb(t *testing.T) {
	d := openDoc(t, "author")
	p := newDocGate()
	step := func(want string, ops ...crdt.Operation) {
		t.Helper()
		p.pass(t, docDo(t, d, ops...))
		if got := docJSON(t, d); got != want {
			t.Fatalf("after %v:\n got %s\nwant %s", ops[0].Verb, got, want)
		}
	}
	step(`{"notes":{"n1":{"likes":1,"meta":{"k":[1,"two",{"three":3}]},"title":"Hi"}}}`,
		crdt.Create("notes", "n1", map[string]any{
			"title": "Hi", "likes": crdt.Counter(1),
			"meta": map[string]any{"k": []any{1, "two", map[string]any{"three": 3}}},
		}))
	step(`{"notes":{"n1":{"likes":6,"meta":{"k":[1,"two",{"three":3}]},"title":"Hi"}}}`,
		crdt.Increment("notes", "n1", "likes", 5))
	step(`{"notes":{"n1":{"likes":6,"meta":{"k":[1,"two",{"three":3}]},"title":"H😀ello"}}}`,
		crdt.Splice("notes", "n1", "title", 1, 1, "😀ello"))
	step(`{"notes":{"n1":{"likes":6,"meta":{"k":[1,"two",{"three":3}]},"title":"H😀y"}}}`,
		crdt.Splice("notes", "n1", "title", 2, 4, "y"))
	step(`{"notes":{"n1":{"likes":6,"meta":{"k":[0,1,"two",null,{"four":4,"three":3}]},"title":"H😀y"}}}`,
		crdt.ListInsert("notes", "n1", crdt.Path{"meta", "k"}, 0, 0),
		crdt.ListInsert("notes", "n1", crdt.Path{"meta", "k"}, 3, nil),
		crdt.Set("notes", "n1", crdt.Path{"meta", "k", 4, "four"}, 4))
	step(`{"notes":{"n1":{"likes":6,"meta":{"k":[0,true,{"four":4,"three":3}]},"title":"H😀y"}}}`,
		crdt.ListDelete("notes", "n1", crdt.Path{"meta", "k"}, 2, 2),
		crdt.ListSet("notes", "n1", crdt.Path{"meta", "k"}, 1, true))
	step(`{"notes":{"n1":{"meta":{"k":[0,true,{"four":4,"three":3}]},"title":"New"}}}`,
		crdt.Unset("notes", "n1", "likes"),
		crdt.Update("notes", "n1", map[string]any{"title": "New"}))
	step(`{"notes":{}}`, crdt.Delete("notes", "n1"))
}

func TestDocumentRefusesAndStaysAsItWas(t *testing.T) {
	d := openDoc(t, "author")
	docDo(t, d, crdt.Create("notes", "n1", map[string]any{"title": "Hi", "n": 1, "l": []any{1}}))
	was := docJSON(t, d)
	good := crdt.Update("notes", "n1", map[string]any{"title": "changed", "more": []any{"x"}})
	for name, c := range map[string]struct {
		op   crdt.Operation
		want error
	}{
		"create what exists":     {crdt.Create("notes", "n1", nil), crdt.ErrExists},
		"update what is missing": {crdt.Update("notes", "n2", map[string]any{"a": 1}), crdt.ErrNotFound},
		"delete what is missing": {crdt.Delete("notes", "n2"), crdt.ErrNotFound},
		"no such collection":     {crdt.Delete("others", "n2"), crdt.ErrNotFound},
		"unset what is missing":  {crdt.Unset("notes", "n1", "x"), crdt.ErrNotFound},
		"increment a number":     {crdt.Increment("notes", "n1", "n", 1), crdt.ErrKind},
		"splice a number":        {crdt.Splice("notes", "n1", "n", 0, 0, "x"), crdt.ErrKind},
		"splice beyond":          {crdt.Splice("notes", "n1", "title", 8, 0, "x"), crdt.ErrRange},
		"delete beyond":          {crdt.Splice("notes", "n1", "title", 0, 8, ""), crdt.ErrRange},
		"insert into text":       {crdt.ListInsert("notes", "n1", "title", 0, 1), crdt.ErrKind},
		"list beyond":            {crdt.ListSet("notes", "n1", "l", 1, 1), crdt.ErrRange},
		"no parent":              {crdt.Set("notes", "n1", crdt.Path{"a", "b"}, 1), crdt.ErrNotFound},
		"parent is a text":       {crdt.Set("notes", "n1", crdt.Path{"title", "b"}, 1), crdt.ErrKind},
		"a Go type":              {crdt.Set("notes", "n1", "a", struct{}{}), crdt.ErrInvalid},
		"not UTF-8":              {crdt.Set("notes", "n1", "a", "\xff"), crdt.ErrInvalid},
		"empty key":              {crdt.Set("notes", "n1", "", 1), crdt.ErrInvalid},
		"no verb":                {crdt.Operation{Collection: "c", ID: "i", Path: crdt.Path{"p"}}, crdt.ErrInvalid},
	} {
		_, err := d.Do(docTime, good, c.op)
		var oe *crdt.OperationError
		if !errors.Is(err, c.want) || !errors.As(err, &oe) || oe.Index != 1 {
			t.Errorf("%s: %v", name, err)
		}
		if now := docJSON(t, d); now != was {
			t.Fatalf("%s: the document is now %s", name, now)
		}
	}
	if _, err := d.Do(docTime); !errors.Is(err, crdt.ErrEmpty) {
		t.Errorf("an empty batch: %v", err)
	}
	if _, err := d.Do(docTime, crdt.Set("notes", "n1", "n", 1)); !errors.Is(err, crdt.ErrNoChange) {
		t.Errorf("nothing to do: %v", err)
	}
}

// The message of a change is its operations' intents, each once in a row, and
// is cut where a character ends.
func TestIntent(t *testing.T) {
	d := openDoc(t, "author")
	c := docDo(t, d,
		crdt.Create("notes", "n1", map[string]any{"title": "Hi", "n": crdt.Counter(0)}),
		crdt.Splice("notes", "n1", "title", 0, 0, "x"), crdt.Splice("notes", "n1", "title", 0, 1, ""),
		crdt.Increment("notes", "n1", "n", 1), crdt.Set("notes", "n1", "m", 1), crdt.Delete("notes", "n1"))
	const want = "create notes/n1; edit notes/n1; increment notes/n1; update notes/n1; delete notes/n1"
	if c.Message != want || c.Time != docTime.Unix() {
		t.Errorf("message %q at %d, want %q at %d", c.Message, c.Time, want, docTime.Unix())
	}
	long := strings.Repeat("é", 150)
	c = docDo(t, d, crdt.Create("notes", "n", nil), crdt.Create("notes", long, nil))
	if got := len(c.Message); got > 200 || got < 197 || !strings.HasPrefix("create notes/n; create notes/"+long, c.Message) {
		t.Errorf("message of %d bytes: %q", got, c.Message)
	}
	entries := crdt.History([]*chunk.Change{c})
	if e := entries[0]; e.Intent != c.Message || !e.Time.Equal(docTime) || e.Actor != "author" || e.Seq != 2 || e.Hash != c.Hash || len(e.Deps) != 1 {
		t.Errorf("history: %+v", e)
	}
}

// Strings are text, an explicit scalar is not, and numbers keep their kinds, in
// the change itself.
func TestValuesHaveTheirKindsInTheChange(t *testing.T) {
	d := openDoc(t, "author")
	c := docDo(t, d, crdt.Create("c", "i", map[string]any{
		"int": 1, "uint": uint(1), "float": 1.0, "text": "t", "scalar": crdt.Scalar("s"), "time": docTime, "counter": crdt.Counter(1),
		"bytes": []byte{1}, "null": nil, "yes": true, "map": map[string]any{}, "list": []any{},
	}))
	type kind struct {
		action chunk.Action
		value  chunk.ValueType
	}
	want := map[string]kind{
		"int": {chunk.Set, chunk.Int}, "uint": {chunk.Set, chunk.Uint}, "float": {chunk.Set, chunk.Float},
		"text": {chunk.MakeText, chunk.Null}, "scalar": {chunk.Set, chunk.String}, "time": {chunk.Set, chunk.Timestamp},
		"counter": {chunk.Set, chunk.Counter}, "bytes": {chunk.Set, chunk.Bytes}, "null": {chunk.Set, chunk.Null},
		"yes": {chunk.Set, chunk.True}, "map": {chunk.MakeMap, chunk.Null}, "list": {chunk.MakeList, chunk.Null},
	}
	for _, o := range c.Ops() {
		if w, ok := want[o.Key]; ok {
			if got := (kind{o.Action, o.Value.Type}); got != w {
				t.Errorf("%s: %v of type %d, want %v of type %d", o.Key, got.action, got.value, w.action, w.value)
			}
			delete(want, o.Key)
		}
	}
	if len(want) > 0 {
		t.Errorf("no operation for %v", want)
	}
	got, err := d.Entity("c", "i")
	if err != nil || got["scalar"] != "s" || got["uint"] != uint64(1) || got["int"] != int64(1) || got["float"] != 1.0 || got["time"] != docTime.UTC() {
		t.Errorf("read back %#v, %v", got, err)
	}
}

func TestConflictsNameTheirOperations(t *testing.T) {
	a, b := openDoc(t, "a"), openDoc(t, "b")
	first := docDo(t, a, crdt.Create("c", "i", map[string]any{"f": 0, "l": []any{0}}))
	if err := b.Apply([]*chunk.Change{first}); err != nil {
		t.Fatal(err)
	}
	one := docDo(t, a, crdt.Set("c", "i", "f", "from a"), crdt.ListSet("c", "i", "l", 0, 1))
	two := docDo(t, b, crdt.Set("c", "i", "f", uint64(7)), crdt.ListSet("c", "i", "l", 0, 2))
	if err := a.Apply([]*chunk.Change{two}); err != nil {
		t.Fatal(err)
	}
	if err := b.Apply([]*chunk.Change{one}); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*crdt.Document{a, b} {
		cs, err := d.Conflicts("c", "i", "f")
		if err != nil || len(cs) != 2 || cs[0].Value != "from a" || cs[1].Value != uint64(7) ||
			cs[0].ID != (crdt.OpID{Counter: one.StartOp, Actor: "a"}) || cs[1].ID != (crdt.OpID{Counter: two.StartOp, Actor: "b"}) {
			// The text of a has more operations, but the counters of both start alike, so b is the larger.
			t.Errorf("conflicts of a field: %+v, %v", cs, err)
		}
		cs, err = d.Conflicts("c", "i", "l", 0)
		if err != nil || len(cs) != 2 {
			t.Errorf("conflicts of an element: %+v, %v", cs, err)
		}
		then, err := d.At([]id.Hash{one.Hash})
		if err != nil {
			t.Fatal(err)
		}
		if cs, err := then.Conflicts("c", "i", "f"); err != nil || len(cs) != 1 || cs[0].Value != "from a" {
			t.Errorf("conflicts before the merge: %+v, %v", cs, err)
		}
		if _, err := d.Conflicts("c", "i", "nothing"); !errors.Is(err, crdt.ErrNotFound) {
			t.Errorf("conflicts of nothing: %v", err)
		}
	}
}

func TestReads(t *testing.T) {
	d := openDoc(t, "author")
	docDo(t, d, crdt.Create("c", "i", map[string]any{"f": []any{map[string]any{"g": "deep"}}}))
	if v, err := d.Get("c", "i", "f", 0, "g"); err != nil || v != "deep" {
		t.Errorf("get: %v, %v", v, err)
	}
	if m, err := d.Collection("none"); err != nil || m == nil || len(m) != 0 {
		t.Errorf("a collection that is not there: %v, %v", m, err)
	}
	if m, err := d.Collection("c"); err != nil || len(m) != 1 {
		t.Errorf("a collection: %v, %v", m, err)
	}
	for want, f := range map[error]func() error{
		crdt.ErrNotFound:     func() error { _, err := d.Entity("c", "j"); return err },
		crdt.ErrRange:        func() error { _, err := d.Get("c", "i", "f", 1); return err },
		crdt.ErrKind:         func() error { _, err := d.Get("c", "i", "f", "g"); return err },
		crdt.ErrInvalid:      func() error { _, err := d.Get("c", "i", "f", 1.5); return err },
		crdt.ErrUnknownHeads: func() error { _, err := d.At([]id.Hash{{1}}); return err },
	} {
		if err := f(); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

// A document is of no use after Close, and says so.
func TestClosedDocument(t *testing.T) {
	d := crdt.New("author")
	c := docDo(t, d, crdt.Create("c", "i", nil))
	v, err := d.At(d.Heads())
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	d.Close()
	if !d.Closed() {
		t.Error("not closed")
	}
	for name, f := range map[string]func() error{
		"do":    func() error { _, err := d.Do(docTime, crdt.Delete("c", "i")); return err },
		"apply": func() error { return d.Apply([]*chunk.Change{c}) },
		"value": func() error { _, err := d.Value(); return err },
		"view":  func() error { _, err := v.Value(); return err },
		"at":    func() error { _, err := d.At(d.Heads()); return err },
		"save":  func() error { _, err := d.Save(); return err },
	} {
		if err := f(); !errors.Is(err, crdt.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Changes whose dependency is missing, and twins, are refused, and the document
// does not go on as if nothing had been.
func TestDocumentBreaksRatherThanGoOn(t *testing.T) {
	a := openDoc(t, "a")
	docDo(t, a, crdt.Create("c", "i", nil))
	second := docDo(t, a, crdt.Create("c", "j", nil))
	twin := docDo(t, openDoc(t, "a"), crdt.Create("other", "i", nil))
	b := openDoc(t, "b")
	if err := b.Apply([]*chunk.Change{second}); !errors.Is(err, crdt.ErrBroken) || !b.Closed() {
		t.Errorf("a change without its dependency: %v", err)
	}
	if err := a.Apply([]*chunk.Change{twin}); !errors.Is(err, crdt.ErrBroken) || !a.Closed() {
		t.Errorf("a twin: %v", err)
	}
	if _, err := a.Do(docTime, crdt.Delete("c", "i")); !errors.Is(err, crdt.ErrBroken) {
		t.Errorf("after breaking: %v", err)
	}
}

// A peer that has used up the operation counters must not make the core count
// past 32 bits, which ends the process.
func TestDocumentWithoutCountersLeft(t *testing.T) {
	// Each change leaves out as many counters as it may.
	var far []*chunk.Change
	for start := uint64(1); start < chunk.MaxCounter-2; {
		start = min(start+graph.MaxGap, chunk.MaxCounter-2)
		h := chunk.Header{Actor: "far", Seq: uint64(len(far)) + 1, StartOp: start}
		if len(far) > 0 {
			h.Deps = []id.Hash{far[len(far)-1].Hash}
		}
		raw, err := chunk.Encode(h, []chunk.Op{{Key: fmt.Sprint("notes", start), Action: chunk.MakeMap}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := chunk.ParseChange(raw)
		if err != nil {
			t.Fatal(err)
		}
		far = append(far, c)
	}
	d, err := crdt.Open("author", newDocGate().pass(t, far...))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Do(docTime, crdt.Create("mine", "n", map[string]any{"t": "text"})); !errors.Is(err, crdt.ErrTooLarge) {
		t.Errorf("no counters left: %v", err)
	}
	if _, err := d.Value(); err != nil {
		t.Error(err)
	}
}

// Others may nest deeper than the reader goes.
func TestDocumentTooDeep(t *testing.T) {
	ops := []chunk.Op{{Key: "deep", Action: chunk.MakeMap}}
	for i := range 50_000 {
		ops = append(ops, chunk.Op{Obj: chunk.Ref{Ctr: uint64(i + 1)}, Key: "k", Action: chunk.MakeMap})
	}
	raw, err := chunk.Encode(chunk.Header{Actor: "far", Seq: 1, StartOp: 1}, ops)
	if err != nil {
		t.Fatal(err)
	}
	c, err := chunk.ParseChange(raw)
	if err != nil {
		t.Fatal(err)
	}
	d, err := crdt.Open("author", newDocGate().pass(t, c))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Value(); !errors.Is(err, crdt.ErrTooDeep) {
		t.Errorf("read: %v", err)
	}
	deep := any("bottom")
	for range crdt.MaxDepth - 1 {
		deep = map[string]any{"k": deep}
	}
	if _, err := d.Do(docTime, crdt.Create("c", "i", map[string]any{"f": deep})); !errors.Is(err, crdt.ErrTooDeep) {
		t.Errorf("write: %v", err)
	}
	docDo(t, d, crdt.Create("c", "i", map[string]any{"f": deep.(map[string]any)["k"]}))
	if _, err := d.Entity("c", "i"); err != nil {
		t.Errorf("as deep as may be: %v", err)
	}
}

func TestMintActor(t *testing.T) {
	doc, other := id.NewDocument(), id.NewDocument()
	a, b := crdt.MintActor([]byte("secret"), doc), crdt.MintActor([]byte("secret"), doc)
	c := crdt.MintActor([]byte("secret"), other)
	tag := string(crdt.DeviceTag([]byte("secret"), doc))
	if len(a) != 16 || a == b || !strings.HasPrefix(string(a), tag) || !strings.HasPrefix(string(b), tag) || strings.HasPrefix(string(c), tag) {
		t.Errorf("actors %s %s %s, tag %x", a, b, c, tag)
	}
}

// What stock editors cannot write but the format allows is read and edited all
// the same: values in texts that are no characters, and names that are empty.
func TestDocumentReadsOddObjects(t *testing.T) {
	one := chunk.Ref{Ctr: 1}
	text := chunk.Ref{Ctr: 3}
	ops := []chunk.Op{
		{Key: "c", Action: chunk.MakeMap},
		{Obj: one, Key: "map", Action: chunk.MakeMap},
		{Obj: one, Key: "text", Action: chunk.MakeText},
		{Obj: chunk.Ref{Ctr: 2}, Key: "k", Action: chunk.Set, Value: chunk.Value{Type: chunk.True}},
		{Obj: text, IsElem: true, Insert: true, Action: chunk.Set, Value: chunk.Value{Type: chunk.String, Raw: []byte("é")}},
		{Obj: text, IsElem: true, Elem: chunk.Ref{Ctr: 5}, Insert: true, Action: chunk.Set, Value: chunk.Value{Type: chunk.Int, Raw: []byte{7}}},
		{Obj: text, IsElem: true, Elem: chunk.Ref{Ctr: 6}, Insert: true, Action: chunk.MakeMap},
		{Obj: text, IsElem: true, Elem: chunk.Ref{Ctr: 7}, Insert: true, Action: chunk.Set, Value: chunk.Value{Type: chunk.String, Raw: []byte("z")}},
		{Obj: one, Key: "", Action: chunk.MakeMap},
		{Obj: chunk.Ref{Ctr: 9}, Key: "x", Action: chunk.Set, Value: chunk.Value{Type: chunk.Int, Raw: []byte{1}}},
	}
	raw, err := chunk.Encode(chunk.Header{Actor: "odd", Seq: 1, StartOp: 1}, ops)
	if err != nil {
		t.Fatal(err)
	}
	c, err := chunk.ParseChange(raw)
	if err != nil {
		t.Fatal(err)
	}
	d, err := crdt.Open("author", newDocGate().pass(t, c))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const want = `{"c":{"":{"x":1},"map":{"k":true},"text":"é\ufffc\ufffcz"}}`
	if got := docJSON(t, d); got != strings.ReplaceAll(want, `\ufffc`, "\ufffc") {
		t.Errorf("read %s", got)
	}
	if got, err := d.Get("c", "", "x"); err != nil || got != int64(1) {
		t.Errorf("an entity without a name: %v, %v", got, err)
	}
	docDo(t, d, crdt.Delete("c", "map"))
}
