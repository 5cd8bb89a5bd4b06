package relay

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/wire"
)

// table is a room with its store in memory, and clients that talk with it, in one
// goroutine and without a wire.
type table struct {
	t    *testing.T
	room *room
	rows [][]byte // the journal; row n is rows[n-1]
	fail error    // of the next appends

	clients     map[connID]*replica
	unavailable []connID
	refused     map[connID][]id.Hash
	hungUp      map[connID]wire.CloseCode
	gossip      map[connID]int

	bodies roomBodies
	slow   connID   // does not read for now
	held   [][]byte // what is on its way to the slow one
}

func newTable(t *testing.T) *table {
	tb := &table{
		t: t, clients: map[connID]*replica{}, refused: map[connID][]id.Hash{}, hungUp: map[connID]wire.CloseCode{},
		gossip: map[connID]int{},
	}
	tb.room = newRoom(id.NewDocument(), graph.New(), &tb.bodies, graph.OrphanLimits{})
	tb.bodies.t = tb
	return tb
}

// roomBodies is what the room reads: the journal of the table, and the bodies of
// the round before they are in it.
type roomBodies struct {
	t     *table
	round map[int64][]byte
}

func (b *roomBodies) Add(row int64, body []byte) {
	if b.round == nil {
		b.round = map[int64][]byte{}
	}
	b.round[row] = body
}

func (b *roomBodies) Forget() { clear(b.round) }

func (b *roomBodies) Bodies(rows []int64, yield func([]byte) bool) error {
	for _, row := range rows {
		body := b.round[row]
		if body == nil {
			body = b.t.rows[row-1]
		}
		if !yield(body) {
			break
		}
	}
	return nil
}

func (b *roomBodies) Pack(rows []int64, _ bool, budget int) (chunks []byte, n int, err error) {
	err = b.Bodies(rows, func(body []byte) bool {
		if n > 0 && budget > 0 && len(chunks)+len(body) > budget {
			return false
		}
		chunks = append(chunks, body...)
		n++
		return true
	})
	return chunks, n, err
}

func (tb *table) sit(conn connID) *replica {
	r := newReplica(tb.t, tb.room.doc, fmt.Sprint("actor ", conn))
	tb.clients[conn] = r
	tb.room.take(enter{conn: conn, peer: fmt.Sprint("peer ", conn)})
	return r
}

// say has a client send what it has to say.
func (tb *table) say(conn connID, request bool) {
	if data := tb.clients[conn].generate(); data != nil {
		tb.bring(conn, request, data)
	}
}

func (tb *table) bring(conn connID, request bool, data []byte) {
	msg, err := session.Decode(data)
	if err != nil {
		tb.t.Fatal(err)
	}
	in := message{conn: conn, request: request, msg: msg}
	in.changes, in.err = msg.Changes()
	tb.room.take(in)
}

// offer brings changes that the client's own replica does not vouch for.
func (tb *table) offer(conn connID, changes ...*chunk.Change) {
	m := &session.Message{V2: true, Have: []session.Have{{}}}
	for _, c := range changes {
		m.Heads = []id.Hash{c.Hash}
		m.Chunks = append(m.Chunks, c.Raw())
	}
	tb.bring(conn, false, m.Encode())
}

// round ends the round and delivers the effects; answers of clients are the next
// round's inputs, until there are none.
func (tb *table) round() {
	for again := true; again; {
		again = false
		var rows []int64
		b, ok := tb.room.batch()
		if ok && tb.fail == nil {
			for _, e := range b.Entries {
				tb.rows = append(tb.rows, e.Body)
				rows = append(rows, int64(len(tb.rows)))
			}
		}
		if ok {
			tb.room.commit(rows, tb.fail)
		} else {
			tb.room.commit(nil, nil)
		}
		for _, e := range tb.room.effects() {
			switch e := e.(type) {
			case sendSync:
				if e.more {
					tb.room.take(written{conn: e.conn})
					again = true
				}
				if e.conn == tb.slow {
					tb.held = append(tb.held, e.data)
				} else if tb.deliver(e.conn, e.data) {
					again = true
				}
			case sendUnavailable:
				tb.unavailable = append(tb.unavailable, e.conn)
			case sendRefusal:
				tb.refused[e.conn] = append(tb.refused[e.conn], e.hash)
			case hangUp:
				tb.hungUp[e.conn] = e.code
			case sendGossip:
				tb.gossip[e.conn]++
			}
		}
	}
}

// deliver gives a client a message, and reports whether it answered.
func (tb *table) deliver(conn connID, data []byte) bool {
	r := tb.clients[conn]
	if r == nil {
		return false
	}
	r.receive(data)
	if data = r.generate(); data == nil {
		return false
	}
	tb.bring(conn, false, data)
	return true
}

func (tb *table) leave(conn connID) {
	tb.room.take(leave{conn: conn})
	delete(tb.clients, conn)
}

func TestNothingIsVisibleBeforeItIsStored(t *testing.T) {
	tb := newTable(t)
	a, b := tb.sit(1), tb.sit(2)
	tb.say(2, true)
	tb.round()
	change := a.edit("k")
	tb.fail = errors.New("no space")
	tb.say(1, false)
	tb.round()
	if tb.room.graph.Contains(change.Hash) || b.has(change.Hash) {
		t.Error("a change that is not stored is visible")
	}
	if a.session.Synced() {
		t.Error("it was acknowledged")
	}
	if tb.hungUp[1] != wire.CloseReadOnly || len(tb.hungUp) != 1 {
		t.Errorf("hung up: %v, want the sender with %s", tb.hungUp, wire.CloseReadOnly)
	}
	// The sender comes back when there is space again.
	tb.fail = nil
	tb.leave(1)
	tb.room.take(enter{conn: 3, peer: "peer 1"})
	tb.clients[3] = a
	a.begin(nil)
	tb.say(3, false)
	tb.round()
	if !b.has(change.Hash) || !a.session.Synced() {
		t.Error("the change did not arrive in the end")
	}
}

func TestRequestsWaitForWhoMayHaveTheDocument(t *testing.T) {
	tb := newTable(t)
	writer, asker := tb.sit(1), tb.sit(2)
	for range 3 {
		writer.edit("k")
	}
	// The writer tells of heads; its changes are still on their way.
	tb.slow = 1
	msg, err := session.Decode(writer.generate())
	if err != nil {
		t.Fatal(err)
	}
	msg.Chunks = nil
	tb.room.take(message{conn: 1, msg: msg})
	tb.say(2, true)
	tb.round()
	if len(tb.unavailable) != 0 || len(tb.held) == 0 {
		t.Fatalf("unavailable to %v, %d messages to the writer; want the asker to wait", tb.unavailable, len(tb.held))
	}
	tb.slow = 0
	for _, data := range tb.held {
		tb.deliver(1, data)
	}
	tb.round()
	if !sameHeads(writer, asker) || len(tb.unavailable) != 0 {
		t.Error("the asker did not get the document")
	}
}

func TestRequestsEndWhenWhoMightHaveTheDocumentLeaves(t *testing.T) {
	tb := newTable(t)
	writer := tb.sit(1)
	writer.edit("k")
	tb.sit(2)
	tb.room.take(message{conn: 1, msg: &session.Message{Heads: writer.g.Heads()}})
	tb.say(2, true)
	tb.slow = 1
	tb.round()
	tb.leave(1)
	tb.round()
	if len(tb.unavailable) != 1 || tb.unavailable[0] != 2 {
		t.Errorf("unavailable: %v, want 2", tb.unavailable)
	}
}

// badChange builds on the replica's heads and works on an object that is not
// there.
func badChange(r *replica) *chunk.Change {
	raw, err := chunk.Encode(chunk.Header{
		Actor: r.actor, Seq: r.seq + 1, StartOp: r.maxOp + 10, Deps: r.g.Heads(), OtherActors: []id.Actor{"of nobody"},
	}, []chunk.Op{{Obj: chunk.Ref{Actor: 1, Ctr: 1}, Key: "k", Action: chunk.Set, Value: chunk.Value{Type: chunk.Null}}})
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := chunk.ParseChange(raw)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func TestARefusedChangeGoesNoFurther(t *testing.T) {
	tb := newTable(t)
	a, b, c := tb.sit(1), tb.sit(2), tb.sit(3)
	a.edit("k")
	for conn := range connID(3) {
		tb.say(conn+1, conn > 0)
		tb.round()
	}
	bad := badChange(a)
	a.take(bad)
	on := a.edit("on top of it")
	tb.say(1, false)
	tb.round()
	for _, c := range []*chunk.Change{bad, on} {
		if !slices.Contains(tb.refused[1], c.Hash) {
			t.Fatalf("refused %v, want %s and %s", tb.refused, bad.Hash, on.Hash)
		}
	}
	if len(tb.rows) != 1 {
		t.Errorf("%d rows are stored, want 1", len(tb.rows))
	}
	// Everyone goes on, and the sender hears of it.
	x := b.edit("b")
	tb.say(2, false)
	tb.round()
	if !c.has(x.Hash) || !a.has(x.Hash) {
		t.Error("an honest change did not arrive")
	}
	if b.has(bad.Hash) || c.has(bad.Hash) || b.has(on.Hash) {
		t.Error("a refused change was passed on")
	}
	if a.session.Synced() {
		t.Error("the refused changes were acknowledged")
	}
	if len(tb.refused[2])+len(tb.refused[3])+len(tb.hungUp) != 0 {
		t.Errorf("others were bothered: %v, %v", tb.refused, tb.hungUp)
	}
}

func TestAnOrphanOfARefusedChangeIsRefusedToo(t *testing.T) {
	tb := newTable(t)
	a := tb.sit(1)
	tb.sit(2)
	bad := badChange(a)
	a.take(bad)
	child := a.edit("k")
	tb.offer(2, child)
	tb.round()
	if len(tb.refused) != 0 || tb.room.orphans.Len() != 1 {
		t.Fatalf("the orphan is not held: %v", tb.refused)
	}
	tb.offer(1, bad)
	tb.round()
	if !slices.Contains(tb.refused[1], bad.Hash) || !slices.Equal(tb.refused[2], []id.Hash{child.Hash}) || tb.room.orphans.Len() != 0 {
		t.Errorf("refused %v, %d orphans left", tb.refused, tb.room.orphans.Len())
	}
}

func TestOneWhoSendsNothingButBadChangesIsIgnored(t *testing.T) {
	tb := newTable(t)
	a := tb.sit(1)
	for range maxRefusals + 10 {
		a.maxOp++ // a different change each time
		tb.offer(1, badChange(a))
	}
	tb.round()
	if n := len(tb.refused[1]); n != maxRefusals {
		t.Errorf("%d refusals, want %d", n, maxRefusals)
	}
	good := newReplica(t, tb.room.doc, "good").edit("k")
	tb.offer(1, good)
	tb.round()
	if tb.room.graph.Has(good.Hash) {
		t.Error("it is still listened to")
	}
}

func TestChunksThatCannotBeReadEndTheSession(t *testing.T) {
	tb := newTable(t)
	a := tb.sit(1)
	a.edit("k")
	msg := &session.Message{V2: true, Heads: a.g.Heads()}
	tb.room.take(message{conn: 1, msg: msg, err: errors.New("not a chunk")})
	tb.say(1, false)
	tb.round()
	if len(tb.refused[1]) != 1 || len(tb.rows) != 0 {
		t.Errorf("refused %v, %d rows", tb.refused, len(tb.rows))
	}
}

func TestOrphansWaitForAnyone(t *testing.T) {
	tb := newTable(t)
	a := tb.sit(1)
	tb.sit(2)
	first, second, third := a.edit("k"), a.edit("k"), a.edit("k")
	tb.offer(2, third)
	tb.round()
	tb.offer(2, second)
	tb.round()
	tb.offer(1, first)
	tb.round()
	if tb.room.graph.Len() != 3 || len(tb.rows) != 3 {
		t.Errorf("%d changes, %d rows, want 3", tb.room.graph.Len(), len(tb.rows))
	}
}

func TestChangesOfAnotherProcessAreToldToSessions(t *testing.T) {
	tb := newTable(t)
	a := tb.sit(1)
	a.edit("k")
	tb.say(1, false)
	tb.round()
	other := newReplica(t, tb.room.doc, "other process")
	for _, b := range a.bodies {
		c, err := chunk.ParseChange(b)
		if err != nil {
			t.Fatal(err)
		}
		other.take(c)
	}
	change := other.edit("k")
	m := graph.MetaOf(change)
	tb.rows = append(tb.rows, change.Raw())
	m.Row = int64(len(tb.rows))
	tb.room.take(stored{metas: []graph.Meta{m}})
	tb.round()
	if !a.has(change.Hash) {
		t.Error("it was not told")
	}
}

// TestARoomRestsAndWakes puts a room to rest whenever it can between the edits of
// its members, one of whom never says anything.
func TestARoomRestsAndWakes(t *testing.T) {
	tb := newTable(t)
	conns := map[connID]*conn{}
	for n := connID(1); n <= 3; n++ {
		tb.sit(n)
		conns[n] = &conn{id: n}
		conns[n].remote.PeerID = fmt.Sprint("peer ", n)
	}
	tb.clients[1].edit("first")
	tb.say(1, false)
	tb.say(2, true)
	tb.round()
	for i := range 10 {
		at, ok := tb.room.rest(conns)
		if !ok {
			t.Fatal("a room in which nothing happens does not rest")
		}
		g := graph.New()
		for row, b := range tb.rows {
			c, err := chunk.ParseChange(b)
			if err != nil {
				t.Fatal(err)
			}
			m := graph.MetaOf(c)
			m.Row = int64(row + 1)
			if err := g.Add(m); err != nil {
				t.Fatal(err)
			}
		}
		g.Publish(nil)
		tb.room = newRoom(tb.room.doc, g, &tb.bodies, graph.OrphanLimits{})
		tb.room.wake(&at)
		from, to := connID(1+i%2), connID(2-i%2)
		change := tb.clients[from].edit("k")
		tb.say(from, false)
		if _, ok := tb.room.rest(conns); ok {
			t.Fatal("a room rests that has not answered")
		}
		tb.round()
		if !tb.clients[to].has(change.Hash) {
			t.Fatalf("edit %d did not arrive", i)
		}
		if tb.clients[3].has(change.Hash) {
			t.Fatal("who said nothing was told")
		}
	}
}

func TestALongHistoryIsSentInParts(t *testing.T) {
	tb := newTable(t)
	a := tb.sit(1)
	const each = 1000
	tb.room.budget = 4 * each
	value := string(make([]byte, each))
	for i := range 10 {
		a.take(a.change("k", fmt.Sprint(i, value)))
	}
	tb.say(1, false)
	tb.round()
	b := newReplica(t, tb.room.doc, "b")
	tb.room.take(enter{conn: 2, peer: "b"})
	tb.bring(2, true, b.generate())
	tb.room.commit(nil, nil)
	parts := 0
	for done := false; !done; {
		for _, e := range tb.room.effects() {
			if e, ok := e.(sendSync); ok {
				if len(e.data) > tb.room.budget+each {
					t.Errorf("a part has %d bytes", len(e.data))
				}
				parts++
				b.receive(e.data)
				done = !e.more
			}
		}
		if !done {
			tb.room.commit(nil, nil)
			if n := len(tb.room.effects()); n != 0 {
				t.Fatalf("%d effects before the part has left", n)
			}
			tb.room.take(written{conn: 2})
			tb.room.commit(nil, nil)
		}
	}
	if !sameHeads(a, b) || parts < 3 {
		t.Errorf("%d parts, same heads: %v", parts, sameHeads(a, b))
	}
}

func TestLastCountsAreBounded(t *testing.T) {
	l := newLastCounts(2)
	steps := []struct {
		author string
		count  uint64
		want   bool
	}{
		{"a", 1, true}, {"a", 1, false}, {"b", 1, true}, {"a", 2, true},
		{"c", 1, true},  // forgets b, which was heard of before a
		{"a", 2, false}, // still known
		{"b", 1, true},  // forgotten
	}
	for i, s := range steps {
		if got := l.advance(s.author, "s", s.count); got != s.want {
			t.Errorf("step %d: have %v, want %v", i, got, s.want)
		}
	}
	if len(l.last) != 2 || l.used.Len() != 2 {
		t.Errorf("%d remembered", len(l.last))
	}
}
