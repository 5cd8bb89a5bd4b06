package session

import (
	"slices"
)

// Fanout generates messages for many sessions of one document. Sessions that stand
// alike are to hear the same, so a message is made for the first of them and shared
// by the others. It is good for one state of the graph: Reset it when that changes.
type Fanout struct {
	made  map[string]*made
	bytes int // of the messages in it
	key   []byte
	free  []*made // to be used again
}

// made is a message, and what the session has become by it.
type made struct {
	data []byte
	then Session
}

// Reset forgets what was generated.
func (f *Fanout) Reset() {
	for _, m := range f.made {
		if len(f.free) == keptMade {
			break
		}
		*m = made{}
		f.free = append(f.free, m)
	}
	clear(f.made)
	f.bytes = 0
}

// keptMade is how many places for a message are kept to be used again: with every
// change most rooms need as many as they have writers.
const keptMade = 4

// keptBytes is how much of what was generated Settle keeps.
const keptBytes = 4096

// Settle forgets what was generated if that is large: nobody else may ask for it
// for long.
func (f *Fanout) Settle() {
	if f.bytes > keptBytes {
		f.Reset()
	}
}

// Generate is s.Generate. The message is shared: it must not be modified. shared
// says that it was made for another session before.
func (f *Fanout) Generate(s *Session, src Source, budget int) (data []byte, shared bool, err error) {
	s.refresh()
	if !f.describe(s) {
		data, err = s.Generate(src, budget)
		return data, false, err
	}
	if m := f.made[string(f.key)]; m != nil {
		s.become(&m.then)
		return m.data, true, nil
	}
	key := string(f.key)
	if data, err = s.Generate(src, budget); err != nil {
		return nil, false, err
	}
	if f.made == nil {
		f.made = make(map[string]*made)
	}
	m := f.place()
	m.data, m.then = data, *s
	f.made[key] = m
	f.bytes += len(data)
	return data, false, nil
}

func (f *Fanout) place() *made {
	n := len(f.free)
	if n == 0 {
		return new(made)
	}
	m := f.free[n-1]
	f.free = f.free[:n-1]
	return m
}

// describe writes all that a message depends on into f.key. It reports false for
// a session that is better served alone: one with a filter, or amid a long answer.
func (f *Fanout) describe(s *Session) bool {
	if s.anew || s.guess || s.more || s.reset != nil || !s.allKnown {
		return false
	}
	b := append(f.key[:0], 0, 0)
	for i, set := range []bool{s.v2, s.resets, s.readOnly, s.opts.ReadOnly, s.met, s.upTo, s.spoke, s.news} {
		if set {
			b[0] |= 1 << i
		}
	}
	b = appendHashes(b, s.theirs)
	b = appendHashes(b, s.sent)
	b = appendHashes(b, s.told)
	b = appendHashes(b, s.asked)
	if s.ask != nil {
		b[1] = byte(1 + len(s.ask.have))
		if s.ask.cut {
			return false
		}
		b = appendHashes(b, s.ask.need)
		for i := range s.ask.have {
			if !s.ask.have[i].Bloom.Empty() {
				return false
			}
			b = appendHashes(b, s.ask.have[i].LastSync)
		}
	}
	f.key = b
	return true
}

// become gives s the state of a session that stood like it, after a message.
func (s *Session) become(o *Session) {
	s.sent, s.upTo, s.guess, s.more, s.gave = o.sent, o.upTo, o.guess, o.more, o.gave
	s.spoke, s.told, s.asked, s.heard, s.news = o.spoke, o.told, o.asked, o.heard, o.news
	s.ask, s.reset = nil, o.reset
	if o.ask != nil {
		a := *o.ask // Generate shortens it
		a.need = slices.Clone(a.need)
		s.ask = &a
	}
}
