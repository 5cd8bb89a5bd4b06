package relay

import (
	"slices"
	"time"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/intake"
	"syncline/crdt/session"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/storage"
)

// sendBudget is how many bytes of changes one sync message carries at most. The
// next part follows when the connection has written it, so that a long history
// does not lie in memory as a whole for each client that fetches it.
const sendBudget = 8 << 20

// room is one document with the sessions that are open on it. It decides and does
// nothing: inputs go in through take, what is to be stored comes out of batch,
// the store's answer goes in through commit, and effects says what to do. The
// order of these calls is fixed; one pass through them is a round. A room is
// driven by one goroutine, or by a simulation.
type room struct {
	doc     id.Document
	intake  *intake.Intake
	graph   *graph.Graph   // of the intake; shallow until an input needs all of it
	orphans *graph.Orphans // of the intake
	bodies  bodies
	fan     session.Fanout
	budget  int // bytes of changes in one message; sendBudget but in tests

	members   map[connID]*member
	order     []*member // as they came, so that equal inputs give equal effects
	ephemeral *lastCounts
	remotes   map[string]wire.RemoteHead // by storage id
	digests   digests

	// Of the present round.
	heard []message
	said  []*member // who is to be answered
	grown bool      // changes came that sessions have not been told of
	out   []effect
}

// bodies are the changes of the document, and those of the present round before
// anybody has to read them.
type bodies interface {
	intake.Bodies
	session.Packer
}

// member is one connection in a room.
type member struct {
	conn      connID
	peer      string           // its peer id
	storage   string           // its storage id, "" if it keeps nothing
	heads     []id.Hash        // that others were told it has
	session   *session.Session // nil until its first sync message
	holds     holding
	asks      bool // its request is not answered
	answer    bool // it said something in this round
	writing   bool // a part of a longer answer is being written
	uploading bool // a part of a longer message has come, and not its end
	requests  bool // its last sync message was a request
	refusals  int  // of changes that it sent
	barred    bool // it is neither listened nor spoken to any longer
	readOnly  bool // its changes are not taken
	told      bool // … which it was told
}

// holding is what we know of the document at a member's end.
type holding uint8

const (
	holdsUnknown holding = iota
	holdsSome            // it told of heads
	holdsNone            // it asked for the document, or said that it has none
)

// The inputs of a room.
type (
	input any

	// enter is a connection's first input.
	enter struct {
		conn     connID
		peer     string
		storage  string
		readOnly bool
	}
	// granted says what a member may do from now on.
	granted struct {
		conn     connID
		readOnly bool
	}
	// part brings changes of a longer message before the message.
	part struct {
		conn    connID
		changes []*chunk.Change
	}
	// message is a sync message with its changes, each of which is well formed
	// alone; or the error that one of them is not.
	message struct {
		conn    connID
		request bool
		msg     *session.Message
		changes []*chunk.Change
		err     error
		at      time.Time // when it was read; zero if nobody asks for the heads of others
	}
	// unavailable says that a member does not have the document.
	unavailable struct{ conn connID }
	// gossip is an ephemeral message.
	gossip struct {
		conn connID
		msg  *wire.Ephemeral
	}
	// written says that a message of a session that announced more has left.
	written struct{ conn connID }
	// leave is a connection's last input.
	leave struct{ conn connID }
	// stored are changes that another process has put in the journal. It comes
	// before any message of its round.
	stored struct{ metas []graph.Meta }
)

// The effects of a room.
type (
	effect any

	// sendSync sends a sync message. If more is set, written is to follow when
	// it has left.
	sendSync struct {
		conn    connID
		data    []byte
		changes int
		more    bool
	}
	sendUnavailable struct{ conn connID }
	sendGossip      struct {
		conn connID
		msg  *wire.Ephemeral
	}
	// sendRefusal tells a member that a change of its was refused.
	sendRefusal struct {
		conn connID
		hash id.Hash // zero when it could not be told
		err  error
	}
	// sendTwin tells a member of a change that another one has put out.
	sendTwin struct {
		conn connID
		hash id.Hash
		err  error
	}
	// diverged counts one, and is for the log.
	diverged struct {
		hash id.Hash
		err  error
	}
	// hangUp ends the whole connection.
	hangUp struct {
		conn connID
		code wire.CloseCode
		err  error
	}
	// report is for the log.
	report struct {
		text string
		hash id.Hash
		err  error
	}
)

func newRoom(doc id.Document, g *graph.Graph, b bodies, orphans graph.OrphanLimits) *room {
	r := &room{
		doc:     doc,
		bodies:  b,
		budget:  sendBudget,
		members: make(map[connID]*member),
	}
	r.intake = intake.New(g, b, orphans, r)
	r.graph, r.orphans = g, r.intake.Orphans()
	return r
}

// use has the room go on over a graph of the same document.
func (r *room) use(g *graph.Graph) {
	r.graph = g
	r.intake.Use(g)
	r.fan.Reset()
	for _, m := range r.order {
		if m.session != nil {
			m.session.Deepen(g)
		}
	}
}

// needsAll reports whether an input cannot be taken over a shallow graph.
func (r *room) needsAll(in input) bool {
	switch in := in.(type) {
	case message:
		return in.err == nil && !session.Answerable(r.graph, in.msg, in.changes)
	case part, stored, granted:
		return r.graph.IsShallow()
	}
	return false
}

// take takes one input.
func (r *room) take(in input) {
	switch in := in.(type) {
	case enter:
		r.seat(&member{conn: in.conn, peer: in.peer, storage: in.storage, readOnly: in.readOnly})
	case granted:
		if m := r.members[in.conn]; m != nil && m.readOnly != in.readOnly {
			m.readOnly, m.told = in.readOnly, false
			if m.session != nil {
				// One that begins anew, with us, asks for what was not taken before.
				m.session = session.New(r.graph, r.orphans, session.Options{ReadOnly: m.readOnly, Anew: true})
				m.answer = true
				r.said = append(r.said, m)
			}
		}
	case message:
		if m := r.members[in.conn]; m != nil && !m.barred {
			m.uploading = false
			r.takeMessage(m, in)
		}
	case part:
		if m := r.members[in.conn]; m != nil && !m.barred {
			m.uploading = true
			r.stageAll(m, in.changes)
		}
	case unavailable:
		if m := r.members[in.conn]; m != nil && m.holds == holdsUnknown {
			m.holds = holdsNone
		}
	case gossip:
		if m := r.members[in.conn]; m != nil {
			r.passOn(m, in.msg)
		}
	case written:
		if m := r.members[in.conn]; m != nil {
			m.writing, m.answer = false, true
			r.said = append(r.said, m)
		}
	case elsewhere:
		r.takeElsewhere(in)
	case subscribed:
		r.takeSubscribed(in.conn)
	case digested:
		r.takeDigest(in)
	case leave:
		r.takeLeave(in.conn)
	case stored:
		r.takeStored(in.metas)
	}
}

func (r *room) takeMessage(m *member, in message) {
	if in.err != nil {
		// Which changes these are cannot be told, so they would be asked for again.
		r.refuse(m, id.Hash{}, in.err)
		m.barred = true
		return
	}
	r.stageAll(m, in.changes)
	r.heard = append(r.heard, in)
}

func (r *room) stageAll(m *member, changes []*chunk.Change) {
	if r.graph.IsShallow() {
		return // it contains them: see needsAll
	}
	for _, c := range changes {
		if m.readOnly {
			r.decline(m, c.Hash)
		} else {
			r.intake.Take(c, m.sender())
		}
	}
}

// decline tells a member that may only read that a change is not taken, whether it
// brings it or only says that it has it. It is told once.
func (r *room) decline(m *member, h id.Hash) {
	if !m.told && !r.graph.Contains(h) {
		m.told = true
		r.do(sendRefusal{conn: m.conn, hash: h, err: access.ErrReadOnly})
	}
}

func (r *room) seat(m *member) {
	r.members[m.conn] = m
	r.order = append(r.order, m)
}

func (r *room) takeLeave(conn connID) {
	m := r.members[conn]
	if m == nil {
		return
	}
	delete(r.members, conn)
	r.order = slices.DeleteFunc(r.order, func(o *member) bool { return o == m })
}

// batch returns what is to be stored in this round, if anything.
func (r *room) batch() (b storage.Batch, ok bool) {
	staged := r.intake.Staged()
	if len(staged) == 0 {
		return b, false
	}
	b.Entries = make([]storage.Entry, len(staged))
	for i := range staged {
		b.Entries[i] = r.entry(&staged[i])
	}
	b.Heads = map[id.Document][]id.Hash{r.doc: r.intake.Heads()}
	return b, true
}

// commit ends the round: the batch is durable and has these rows, or is not
// stored because of err. There is a round without a batch, too.
func (r *room) commit(rows []int64, err error) {
	if err != nil {
		r.intake.Unstage(err)
		r.do(report{text: "changes not stored", err: err})
	} else if len(r.intake.Staged()) > 0 {
		r.noteTwins(r.intake.Publish(rows))
		r.grown = true
	}
	for _, in := range r.heard {
		if m := r.members[in.conn]; m != nil && !m.barred {
			r.hear(m, in)
		}
	}
	r.speak()
	r.fan.Settle()
	r.intake.Settle()
	clear(r.heard)
	clear(r.said)
	r.heard, r.said, r.grown = r.heard[:0], r.said[:0], false
}

// effects returns what is to be done, in order, and forgets it.
func (r *room) effects() []effect {
	out := r.out
	r.out = nil
	return out
}

func (r *room) do(e effect) { r.out = append(r.out, e) }
