package relay

import (
	"bytes"
	"fmt"

	"syncline/crdt/session"
	"syncline/relay/wire"
)

// hear has a member's session take note of its message, whose changes are
// published, held or refused by now.
func (r *room) hear(m *member, in message) {
	if m.session == nil {
		m.session = session.New(r.graph, r.orphans, session.Options{})
		if m.saved != nil {
			if err := m.session.Resume(m.saved); err != nil {
				// A session that starts from nothing only costs a longer exchange.
				r.do(report{text: "saved sync state ignored", err: err})
			}
		}
	}
	m.session.Receive(in.msg)
	m.answer, m.requests = true, in.request
	switch {
	case len(in.msg.Heads) > 0:
		m.holds = holdsSome
	case in.request:
		m.holds = holdsNone
	}
	m.asks = in.request && r.graph.Len() == 0
}

// speak says to every member what it has to hear: an answer to who said
// something, and the new changes to all.
func (r *room) speak() {
	for _, m := range r.order {
		if m.session == nil || m.barred || m.writing || !m.answer && !r.grown {
			continue
		}
		m.answer = false
		if m.requests && r.graph.Len() == 0 {
			continue // its answer is that we have nothing, or comes later
		}
		r.speakTo(m)
	}
	r.answerRequests()
}

func (r *room) speakTo(m *member) {
	r.bodies.Given() // what was read for other ends, or for a check
	data, err := m.session.Generate(r.bodies, r.budget)
	if err != nil {
		r.hangUp(m, wire.CloseInternal, fmt.Errorf("document %s: %w", r.doc, err))
		return
	}
	m.asks = false
	if data == nil {
		return
	}
	m.writing = m.session.Pending()
	r.do(sendSync{conn: m.conn, data: data, changes: r.bodies.Given(), more: m.writing})
	if len(m.saved) == 0 {
		r.save(m)
	}
}

// answerRequests tells those who asked for a document that nobody here has that
// there is none. Where a member may have it, they wait for that; and they are
// told when it turns up, as any session is.
func (r *room) answerRequests() {
	if r.graph.Len() > 0 {
		return
	}
	for _, m := range r.order {
		if m.holds == holdsSome && !m.barred {
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

// save keeps what is shared with a member, if that has changed.
func (r *room) save(m *member) {
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
