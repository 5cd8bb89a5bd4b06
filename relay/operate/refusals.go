package operate

import (
	"net"
	"slices"
	"sync"
	"time"

	"syncline/relay/wire"
)

const (
	// keptRefusals is how many are remembered: as many as somebody reads.
	keptRefusals = 64
	// maxShown bounds each text of a refusal, in bytes: clients choose some.
	maxShown = 200
)

// Refusal is one that somebody met with, or several of one reason from one address.
type Refusal struct {
	Time    time.Time      `json:"time"` // of the last
	Count   int            `json:"count"`
	Reason  Reason         `json:"reason"`
	Code    wire.CloseCode `json:"code,omitempty"` // 0: the connection was not closed
	Text    string         `json:"text"`           // what the client was told the last time
	Address string         `json:"address"`        // without the port
	Peer    string         `json:"peer,omitempty"` // as it called itself the last time, if it came so far
}

// Refusals remembers the last ones. Its zero is ready, and it may be used by several
// goroutines.
type Refusals struct {
	mu     sync.Mutex
	recent []Refusal // the newest last
}

// Add remembers a refusal; its Count is ignored. Those of one reason from one
// address are one, so that a client which tries again and again does not push out
// the others.
func (r *Refusals) Add(f Refusal) {
	if host, _, err := net.SplitHostPort(f.Address); err == nil {
		f.Address = host
	}
	f.Address, f.Text, f.Peer = cut(f.Address), cut(f.Text), cut(f.Peer)
	f.Count = 1
	r.mu.Lock()
	defer r.mu.Unlock()
	same := func(o Refusal) bool { return o.Reason == f.Reason && o.Address == f.Address }
	if i := slices.IndexFunc(r.recent, same); i >= 0 {
		f.Count += r.recent[i].Count
		r.recent = slices.Delete(r.recent, i, i+1)
	} else if len(r.recent) == keptRefusals {
		r.recent = slices.Delete(r.recent, 0, 1)
	}
	r.recent = append(r.recent, f)
}

// Recent returns what is remembered, the newest first.
func (r *Refusals) Recent() []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	recent := slices.Clone(r.recent)
	slices.Reverse(recent)
	return recent
}

// cut shortens a text, at the end of a character.
func cut(s string) string {
	if len(s) <= maxShown {
		return s
	}
	n := maxShown
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
