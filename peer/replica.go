package peer

import (
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/intake"
	"syncline/crdt/session"
	"syncline/relay/wire"
	"syncline/storage"
)

// sendBudget is how many bytes of changes one sync message carries at most. The
// next part follows when the connection has written it, so that a long history
// does not lie in memory as a whole for each end that fetches it.
const sendBudget = 8 << 20

// replica is one document with the sessions that are open on it: what is known of
// its changes, not their content. It decides and does nothing: inputs go in
// through take, what is to be stored comes out of batch, the store's answer goes
// in through commit, and effects says what to do. The order of these calls is
// fixed; one pass through them is a round. A replica is driven by one goroutine
// (desk), or by a simulation.
type replica struct {
	doc     id.Document
	intake  *intake.Intake
	graph   *graph.Graph   // of the intake
	orphans *graph.Orphans // of the intake
	bodies  *session.Recent

	members map[connID]*member
	order   []*member // as they came, so that equal inputs give equal effects

	// Of the present round.
	records map[id.Hash]kept // of our own changes among those staged
	heard   []message
	grown   bool // changes came that sessions have not been told of
	out     []effect

	contested bool // twins have altered what stands since it was last looked at
}

// member is one connection in a replica.
type member struct {
	conn     connID
	peer     string           // its peer id
	remote   string           // its storage id, "" if it keeps nothing
	saved    []byte           // the sync state that was last saved for it
	session  *session.Session // nil until somebody has said something
	begin    bool             // it is ours to say the first word
	opened   bool             // we have said it, with heads, and there was no answer yet
	anew     bool             // … and to ask it to forget an earlier session
	asked    bool             // we have asked it for the document, and have no answer
	offered  bool             // it was told of heads of ours
	declined bool             // it does not take the document that we offered
	holds    holding
	asks     bool // its request is not answered
	answer   bool // it said something in this round
	writing  bool // a part of a longer answer is being written
	requests bool // its last sync message was a request
	refusals int  // of changes that it sent
	barred   error
	readOnly bool      // its changes are not taken
	told     bool      // … which it was told
	spare    bool      // see spare.go
	behind   bool      // it was not told yet of changes that came, because it is spare
	waiting  bool      // for the same reason
	waits    int       // how many times it did
	theirs   []id.Hash // its heads in its last message
	acked    []id.Hash // what it is known to have, as last reported
	standing standing  // as last reported
}

// holding is what we know of the document at a member's end.
type holding uint8

const (
	holdsUnknown holding = iota
	holdsSome            // it told of heads
	holdsNone            // it asked for the document, or said that it has none
)

// standing is how far a document has come with a member.
type standing uint8

const (
	standingBusy    standing = iota // there is something to say or to hear
	standingSynced                  // both ends have told each other of equal heads
	standingMissing                 // neither end has the document
	standingBarred                  // the session has ended early
	standingApart                   // they have what they take of each other, and that is not all
)

// The inputs of a replica.
type (
	input any

	// enter is a connection's first input. saved is what an earlier session with
	// the same remote left, or nil.
	enter struct {
		conn     connID
		peer     string
		remote   string
		saved    []byte
		begin    bool // say the first word
		met      bool // there was a session on this connection before
		anew     bool // … of which the new one knows less than the other end
		readOnly bool // its changes are not taken
		spare    bool // see spare.go
	}
	// granted says what a member may do from now on.
	granted struct {
		conn     connID
		readOnly bool
	}
	// message is a sync message with its changes, each of which is well formed
	// alone; or the error that one of them is not.
	message struct {
		conn    connID
		request bool
		msg     *session.Message
		changes []*chunk.Change
		err     error
	}
	// unavailable says that a member does not have the document.
	unavailable struct{ conn connID }
	// written says that a message of a session that announced more has left.
	written struct{ conn connID }
	// waited says that sparePatience is over, of the wait number n.
	waited struct {
		conn connID
		n    int
	}
	// leave is a connection's last input.
	leave struct{ conn connID }
	// stored are changes that another process has put in the journal. It comes
	// before any message of its round.
	stored struct {
		metas   []graph.Meta
		changes []*chunk.Change // the same
	}
	// save has what is shared with each member be kept.
	save struct{}
	// imported are changes from a file.
	imported struct{ changes []*chunk.Change }
)

// The effects of a replica.
type (
	effect any

	// sendSync sends a sync message. If more is set, written is to follow when
	// it has left.
	sendSync struct {
		conn    connID
		request bool
		data    []byte
		rows    []int64 // of the changes in it
		more    bool
	}
	sendUnavailable struct{ conn connID }
	// waitSpare asks for waited after sparePatience.
	waitSpare struct {
		conn connID
		n    int
	}
	// sendRefusal tells a member that a change of its is not taken.
	sendRefusal struct {
		conn connID
		hash id.Hash // zero when it could not be told
		err  error
	}
	// hangUp ends the whole connection.
	hangUp struct {
		conn connID
		code wire.CloseCode
		err  error
	}
	// acknowledged says that a member is known to have more than before, or less.
	// all: it has all that we have.
	acknowledged struct {
		conn  connID
		heads []id.Hash // and all below them
		all   bool
	}
	// saveState keeps what is shared with a remote for its next session.
	saveState struct {
		remote string
		state  []byte
	}
	// stands says how far a member has come, whenever that changes.
	stands struct {
		conn connID
		now  standing
		err  error // with standingBarred and standingApart
	}
	// keepEvidence notes rows of the journal as quarantined by the twin rule.
	keepEvidence struct{ rows []int64 }
	// diverged is for the count of twins found.
	diverged struct{ twins int }
	// say is for the log.
	say struct {
		text string
		hash id.Hash
		err  error
	}
)

func newReplica(doc id.Document, g *graph.Graph, bodies session.Source) *replica {
	r := &replica{
		doc: doc, graph: g, bodies: session.NewRecent(bodies), members: make(map[connID]*member),
		contested: g.Nodes() > g.Len(),
	}
	r.intake = intake.New(g, r.bodies, graph.OrphanLimits{}, r)
	r.orphans = r.intake.Orphans()
	return r
}

// take takes one input.
func (r *replica) take(in input) {
	switch in := in.(type) {
	case enter:
		r.takeEnter(in)
	case message:
		if m := r.members[in.conn]; m != nil && m.barred == nil {
			r.takeMessage(m, in)
		}
	case unavailable:
		if m := r.members[in.conn]; m != nil {
			m.declined = m.offered && !m.asked && r.graph.Len() > 0
			m.asked, m.opened = false, false
			if m.holds == holdsUnknown {
				m.holds = holdsNone
			}
		}
	case granted:
		r.takeGranted(in)
	case written:
		if m := r.members[in.conn]; m != nil {
			m.writing, m.answer = false, true
		}
	case waited:
		r.takeWaited(in)
	case leave:
		r.takeLeave(in.conn)
	case save:
		for _, m := range r.order {
			r.save(m)
		}
	case stored:
		r.takeStored(in)
	case imported:
		for _, c := range in.changes {
			r.intake.Take(c, graph.Sender{Name: originImport})
		}
	}
}

func (r *replica) takeEnter(in enter) {
	if r.members[in.conn] != nil {
		return
	}
	m := &member{conn: in.conn, peer: in.peer, remote: in.remote, saved: in.saved, begin: in.begin, anew: in.anew, readOnly: in.readOnly, spare: in.spare}
	if in.begin || in.met {
		r.openSession(m)
	}
	r.members[in.conn] = m
	r.order = append(r.order, m)
}

// openSession starts a member's session from what an earlier one left.
func (r *replica) openSession(m *member) {
	m.session = session.New(r.graph, r.orphans, session.Options{ReadOnly: m.readOnly, Anew: m.anew})
	if m.saved == nil {
		return
	}
	if err := m.session.Resume(m.saved); err != nil {
		// A session that starts from nothing only costs a longer exchange.
		r.do(say{text: "saved sync state ignored", err: err})
	}
}

func (r *replica) takeMessage(m *member, in message) {
	if in.err != nil {
		// Which changes these are cannot be told, so they would be asked for again.
		r.refuse(m, id.Hash{}, in.err)
		m.barred = in.err
		return
	}
	for _, c := range in.changes {
		if m.readOnly {
			r.decline(m, c.Hash)
		} else {
			r.intake.Take(c, m.sender())
		}
	}
	r.heard = append(r.heard, in)
}

func (r *replica) takeLeave(conn connID) {
	m := r.members[conn]
	if m == nil {
		return
	}
	r.save(m)
	delete(r.members, conn)
	r.order = slices.DeleteFunc(r.order, func(o *member) bool { return o == m })
}

// batch returns what is to be stored in this round, if anything.
func (r *replica) batch() (b storage.Batch, ok bool) {
	staged := r.intake.Staged()
	if len(staged) == 0 {
		return b, false
	}
	b.Entries = make([]storage.Entry, len(staged))
	for i := range staged {
		b.Entries[i] = entry(r.doc, &staged[i], r.records[staged[i].Change.Hash])
	}
	b.Heads = map[id.Document][]id.Hash{r.doc: r.intake.Heads()}
	return b, true
}

// result is what a round has done to the document.
type result struct {
	fresh []journaled // changes of others that stand, to be given to the core
	// rebuild: twins have changed which changes stand, so that what was made of
	// the old ones is of no more use. fresh is empty then.
	rebuild bool
	// grown: there are changes that were not visible before.
	grown bool
}

// journaled is a change with its row.
type journaled struct {
	row    int64
	change *chunk.Change
}

// commit ends the round: the batch is durable and has these rows, or is not
// stored because of err. There is a round without a batch, too.
func (r *replica) commit(rows []int64, err error) (res result) {
	if err != nil {
		r.intake.Unstage(err)
		r.do(say{text: "changes not stored", err: err})
	} else if len(r.intake.Staged()) > 0 {
		res = r.publish(rows)
	}
	for _, in := range r.heard {
		if m := r.members[in.conn]; m != nil && m.barred == nil {
			r.hear(m, in)
		}
	}
	r.speak()
	res.grown = r.grown
	r.records, r.heard, r.grown = nil, nil, false
	r.intake.Settle()
	return res
}

// idle reports whether nothing is to be said or heard at the moment.
func (r *replica) idle() bool {
	for _, m := range r.order {
		if m.standing == standingBusy {
			return false
		}
	}
	return true
}

// effects returns what is to be done, in order, and forgets it.
func (r *replica) effects() []effect {
	out := r.out
	r.out = nil
	return out
}

func (r *replica) do(e effect) { r.out = append(r.out, e) }
