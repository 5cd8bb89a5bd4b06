package peer

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"syncline/relay/wire"
)

// hear has a member's session take note of its message, whose changes are
// published, held or refused by now.
func (r *replica) hear(m *member, in message) {
	if m.session == nil {
		r.openSession(m)
	}
	m.session.Receive(in.msg)
	if m.readOnly {
		for _, h := range in.msg.Heads {
			r.decline(m, h)
		}
	}
	m.answer, m.opened, m.declined, m.requests = true, false, false, in.request
	m.asked = m.asked && in.request // which is no answer
	m.theirs = in.msg.Heads
	switch {
	case len(in.msg.Heads) > 0:
		m.holds = holdsSome
	case in.request:
		m.holds = holdsNone
	}
	m.asks = in.request && r.graph.Len() == 0
}

// speak says to every member what it has to hear: the first word where that is
// ours, an answer to who said something, and the new changes to all.
func (r *replica) speak() {
	for _, m := range r.order {
		if !m.spare {
			r.speakIfDue(m)
		}
	}
	for _, m := range r.order {
		if m.spare && r.takesTurn(m) {
			r.speakIfDue(m)
		}
	}
	r.answerRequests()
	for _, m := range r.order {
		r.judge(m)
	}
}

func (r *replica) speakIfDue(m *member) {
	if m.session == nil || m.barred != nil || m.writing || !m.begin && !m.answer && !m.behind && !r.grown {
		return
	}
	if m.opened && !m.begin && !m.session.Pending() {
		// What we would say now has it ask for what its answer to the first word asks
		// for, too, and so be sent that twice.
		return
	}
	m.answer, m.behind = false, false
	if m.requests && r.graph.Len() == 0 {
		return // its answer is that we have nothing, or comes later
	}
	r.speakTo(m)
}

func (r *replica) speakTo(m *member) {
	given := tap{Source: r.bodies}
	data, err := m.session.Generate(&given, sendBudget)
	if err != nil {
		r.hangUp(m, wire.CloseInternal, fmt.Errorf("document %s: %w", r.doc, err))
		return
	}
	opening := m.begin
	m.begin = false
	m.asks = false
	if data == nil {
		return
	}
	m.opened = opening && r.graph.Len() > 0
	m.writing = m.session.Pending()
	request := r.graph.Len() == 0
	if request {
		m.asked = true
	} else {
		m.offered = true
	}
	r.do(sendSync{conn: m.conn, request: request, data: data, rows: given.rows, more: m.writing})
}

// answerRequests tells those who asked for a document that nobody here has that
// there is none. Where a member may have it, they wait for that; and they are
// told when it turns up, as any session is.
func (r *replica) answerRequests() {
	if r.graph.Len() > 0 {
		return
	}
	for _, m := range r.order {
		if m.barred == nil && !m.readOnly && (m.holds == holdsSome || m.asked && m.holds == holdsUnknown && !r.asking(m.peer)) {
			return
		}
	}
	for _, m := range r.order {
		if m.asks {
			m.asks = false
			r.do(sendUnavailable{conn: m.conn})
		}
	}
}

// asking reports whether that peer asks for the document itself: two that have
// dialled each other would wait for each other.
func (r *replica) asking(peer string) bool {
	for _, m := range r.order {
		if m.peer == peer && m.asks {
			return true
		}
	}
	return false
}

// judge reports how far a member has come, if that has changed.
func (r *replica) judge(m *member) {
	if m.session != nil && !slices.Equal(m.acked, m.session.Acked()) {
		m.acked = slices.Clone(m.session.Acked())
		r.do(acknowledged{conn: m.conn, heads: m.acked, all: slices.Equal(m.acked, r.graph.Heads())})
	}
	now, err := standingBusy, m.barred
	switch {
	case err != nil:
		now = standingBarred
	case m.session == nil || m.writing || m.begin:
	case m.session.Synced() && r.graph.Len() > 0:
		now = standingSynced
	case r.graph.Len() == 0 && m.holds == holdsNone && !m.asks:
		now = standingMissing
	case m.declined:
		now, err = standingApart, ErrDeclined
	case m.session.OnlyGives() && r.graph.Len() > 0 && len(r.graph.Missing(m.theirs)) == 0:
		now, err = standingApart, ErrReadOnly
	case r.apart(m):
		now, err = standingApart, ErrApart
	}
	if now == m.standing {
		return
	}
	m.standing = now
	if now == standingSynced && m.saved == nil {
		r.save(m) // later ones are saved when the session ends: losing one costs a longer exchange
	}
	r.do(stands{conn: m.conn, now: now, err: err})
}

var (
	// ErrApart: the other end has changes that are refused or in quarantine here,
	// so that the two do not come to the same heads. Status and the log say which.
	ErrApart = errors.New("the other end has changes that are not taken here")
	// ErrDeclined: the other end does not have the document and takes no new ones.
	ErrDeclined = errors.New("the other end does not take the document")
	// ErrReadOnly: the other end lets us read the document, and takes no changes.
	ErrReadOnly = errors.New("the other end lets us read the document and not change it; our changes stay here")
)

// apart reports whether a member has all that we have, and we have all that we
// would take of what it has.
func (r *replica) apart(m *member) bool {
	if len(m.theirs) == 0 || len(r.graph.Missing(m.theirs)) == 0 || !m.readOnly && len(r.orphans.MissingFrom(r.graph, m.theirs, 1)) > 0 {
		return false
	}
	return len(r.graph.Since(m.session.Acked())) == 0
}

// save keeps what is shared with a member, if that has changed.
func (r *replica) save(m *member) {
	if m.remote == "" || m.session == nil || len(m.session.Acked()) == 0 {
		return
	}
	state := m.session.Save()
	if bytes.Equal(state, m.saved) {
		return
	}
	m.saved = state
	r.do(saveState{remote: m.remote, state: state})
}
