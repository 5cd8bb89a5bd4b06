package relay

import (
	"container/list"

	"syncline/relay/wire"
)

// maxEphemeralSessions bounds the last counts that a room remembers. When one
// more comes, the one not heard of for longest is forgotten; the worst of that is
// that a very late echo is passed on once more.
const maxEphemeralSessions = 4096

// passOn sends an ephemeral message to every other session of the document but
// its author's. Stock clients send back what they receive, so a message is passed
// on only once; and while its author is here, only from its author.
func (r *room) passOn(from *member, msg *wire.Ephemeral) {
	author := msg.SenderID
	if from.peer != author {
		for _, m := range r.order {
			if m.peer == author {
				return
			}
		}
	}
	if r.ephemeral == nil {
		r.ephemeral = newLastCounts(maxEphemeralSessions) // most documents never need one
	}
	if !r.ephemeral.advance(author, msg.SessionID, msg.Count) {
		return
	}
	for _, m := range r.order {
		if m != from && m.peer != author && m.session != nil {
			r.do(sendGossip{conn: m.conn, msg: msg})
		}
	}
}

// lastCounts remembers the last count of each (author, session).
type lastCounts struct {
	limit int
	last  map[ephemeralSession]*list.Element // of *lastCount
	used  *list.List                         // the one heard of last is in front
}

type ephemeralSession struct{ author, session string }

type lastCount struct {
	of    ephemeralSession
	count uint64
}

func newLastCounts(limit int) *lastCounts {
	return &lastCounts{limit: limit, last: make(map[ephemeralSession]*list.Element), used: list.New()}
}

// advance reports whether the count is above the last one, and notes it.
func (l *lastCounts) advance(author, session string, count uint64) bool {
	of := ephemeralSession{author, session}
	if e := l.last[of]; e != nil {
		last := e.Value.(*lastCount)
		if count <= last.count {
			return false
		}
		last.count = count
		l.used.MoveToFront(e)
		return true
	}
	if len(l.last) >= l.limit {
		oldest := l.used.Back()
		delete(l.last, oldest.Value.(*lastCount).of)
		l.used.Remove(oldest)
	}
	l.last[of] = l.used.PushFront(&lastCount{of: of, count: count})
	return true
}
