package relay

import (
	"fmt"

	"syncline/crdt/session"
	"syncline/relay/wire"
)

// hear has a member's session take note of its message, whose changes are
// published, held or refused by now.
func (r *room) hear(m *member, in message) {
	if m.session == nil {
		// What earlier sessions shared is not kept here: who keeps it says so in its
		// first message, and who does not is asked for its heads.
		m.session = session.New(r.graph, r.orphans, session.Options{ReadOnly: m.readOnly})
	}
	m.session.Receive(in.msg)
	if m.readOnly {
		for _, h := range in.msg.Heads {
			r.decline(m, h)
		}
	}
	m.answer, m.requests = true, in.request
	r.said = append(r.said, m)
	switch {
	case len(in.msg.Heads) > 0:
		m.holds = holdsSome
	case in.request:
		m.holds = holdsNone
	}
	m.asks = in.request && r.graph.Len() == 0
	r.noteHeads(m, in.msg.Heads, in.at)
}

// speak says to every member what it has to hear: an answer to who said
// something, and the new changes to all.
func (r *room) speak() {
	listeners := r.said // most rounds are acknowledgements of one or two of many
	if r.grown {
		r.fan.Reset()
		listeners = r.order
	}
	for _, m := range listeners {
		if m.session == nil || m.barred || m.writing || m.uploading || !m.answer && !r.grown {
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
	data, _, err := r.fan.Generate(m.session, r.bodies, r.budget)
	if err != nil {
		r.hangUp(m, wire.CloseInternal, fmt.Errorf("document %s: %w", r.doc, err))
		return
	}
	m.asks = false
	if data == nil {
		return
	}
	m.writing = m.session.Pending()
	r.do(sendSync{conn: m.conn, data: data, changes: m.session.Gave(), more: m.writing})
}

// answerRequests tells those who asked for a document that nobody here has that
// there is none. Where a member may have it, they wait for that; and they are
// told when it turns up, as any session is.
func (r *room) answerRequests() {
	if r.graph.Len() > 0 {
		return
	}
	for _, m := range r.order {
		if m.holds == holdsSome && !m.barred && !m.readOnly {
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
