package crdt_test

import (
	"encoding/binary"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/crdt/session"
)

// messageV1 is the first byte of the messages that automerge-go's core can read.
const messageV1 = 0x42

// messageMutators make a sync message that brings the rest of a base, and edit it.
func messageMutators() []mutator {
	return []mutator{
		{name: "message bytes", weight: 6, mutate: mutateMessageBytes},
		{name: "message parts", weight: 6, mutate: mutateMessageParts},
	}
}

// honestMessage is what an end that has the whole base answers to one that has the
// changes before m.at, in V1 or V2.
func (m *mutation) honestMessage() *session.Message {
	whole, part := receiverOf(m.base.changes), receiverOf(m.base.changes[:m.at])
	theirs, ours := session.New(part.graph, nil, session.Options{}), session.New(whole.graph, nil, session.Options{})
	hello := must(session.Decode(must(theirs.Generate(part, 0))))
	hello.HasFlags = m.rng.IntN(2) == 0 // they read V2
	ours.Receive(hello)
	return must(session.Decode(must(ours.Generate(whole, 0))))
}

func receiverOf(changes [][]byte) *receiver {
	r := newReceiver()
	for _, raw := range changes {
		must0(r.receive(raw))
	}
	return r
}

func mutateMessageBytes(m *mutation) bool {
	m.message = scramble(m.rng, m.honestMessage().Encode(), nil)
	return true
}

func mutateMessageParts(m *mutation) bool {
	msg := m.honestMessage()
	stray := hashOf(m.anotherChange())
	switch m.rng.IntN(6) {
	case 0:
		msg.Heads = append(slices.Clone(msg.Heads), stray)
	case 1:
		msg.Need = append(msg.Need, stray)
	case 2:
		msg.Have = append(msg.Have, session.Have{LastSync: []id.Hash{stray}})
	case 3:
		msg.Flags = session.Flags(m.rng.IntN(128))
		msg.HasFlags = true
	case 4:
		msg.Chunks = append(msg.Chunks, m.anotherChange())
	case 5:
		if len(msg.Chunks) == 0 {
			return false
		}
		i := m.rng.IntN(len(msg.Chunks))
		msg.Chunks[i] = scramble(m.rng, msg.Chunks[i], nil)
	}
	m.message = msg.Encode()
	return true
}

// throughSession is the gate of a sync message: it is decoded, its changes are
// checked and taken in, and the session answers. The answer is what a stock peer
// receives, so it is what the core is given, onto the changes that it has already.
func throughSession(m *mutant) {
	r := receiverOf(m.base.changes[:m.at])
	msg, err := session.Decode(m.message)
	if err != nil {
		return
	}
	for _, b := range msg.Chunks {
		changes, err := chunk.ParseChunks(b)
		if err != nil {
			return
		}
		for _, c := range changes {
			_ = r.take(c)
		}
	}
	m.passed = true
	s := session.New(r.graph, nil, session.Options{})
	s.Receive(msg)
	answer := must(s.Generate(r, 0))
	m.accepted, m.heads = r.standing(), r.graph.Heads()
	if answer == nil || answer[0] != messageV1 || m.index%2 == 0 {
		return
	}
	m.entry = byMessage
	before := concat(m.base.changes[:m.at])
	m.exchange = slices.Concat(binary.LittleEndian.AppendUint32(nil, uint32(len(before))), before, answer)
}
