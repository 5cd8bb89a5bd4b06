package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"syncline/crdt/id"
	"syncline/storage"
)

// Receipt is the record of a batch of operations that was done in this store: a
// name for it, which holds no memory. It is good across connections, and another
// process, or this one after a restart, has it again from Peer.Receipt.
type Receipt struct {
	Document id.Document
	// Sequence is the change's place in this store's journal: it grows with each
	// operation of the store, over all documents, and has gaps.
	Sequence int64
	Hash     id.Hash  // of the change that they are
	Actor    id.Actor // who the document was edited as
	ActorSeq uint64   // the change's number among the actor's
	// Device names this store, in hexadecimal, within the document and to nobody
	// outside of it: no person, and no machine.
	Device string
	Time   time.Time // of this machine's clock, in milliseconds
	// Intent is what the change says of itself, to all who have it: "update
	// items/milk", several joined by "; ", at most 200 bytes.
	Intent string
	// Operations is how many there were in the batch; 0 if they were issued again
	// because a copy of this device had used the change's number, too.
	Operations int
	Steps      []Step // what they were, the first 64
	// Undoes is the change that they undo; zero if they are no undo. Redo: that one
	// was an undo itself.
	Undoes id.Hash
	Redo   bool

	p *Peer
}

// State is how far a change has come. Each state includes those before it.
type State uint8

// The states.
const (
	// Local: it is durable in this store; nothing else is known of it. After a
	// restart, a change is Local that was Sent before.
	Local State = iota + 1
	// Sent: it has left on a connection.
	Sent
	// Acknowledged: another end has told of heads that include it, and an end tells
	// of what is durable there. This is the answer to "is my change safe?".
	Acknowledged
	// Seen: a peer has it, not only a relay: one that has dialled this one, one that
	// Remote.Peer says is one, or one that has made a change on top of it.
	Seen
)

// String is the state's word.
func (s State) String() string {
	switch s {
	case Local:
		return "local"
	case Sent:
		return "sent"
	case Acknowledged:
		return "acknowledged"
	case Seen:
		return "seen"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// MarshalText writes the same word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Progress is where a change is beside this store.
type Progress struct {
	State State
	// Acknowledged are the ends that have it, by their storage ids, ascending; one
	// that keeps nothing has its peer id here, while it is connected. A remote that
	// has lost its data comes back under another storage id, and what it had
	// acknowledged under the old one counts no more.
	Acknowledged []string
	Seen         []string // those of Acknowledged that are peers
	// Followed says that somebody else has made a change on top of it.
	Followed bool
	// Again is the change that has the operations now, if a copy of this device had
	// used the change's number, too, and they were issued again; all of the above is
	// about that one then. Zero otherwise.
	Again id.Hash
}

// ErrNoOperation: no operation of this store has the sequence number.
var ErrNoOperation = errors.New("no operation that was made in this store has this number")

// Receipt returns the receipt of an operation by its sequence number. The error
// wraps ErrNoOperation if there is none.
func (p *Peer) Receipt(ctx context.Context, sequence int64) (Receipt, error) {
	o, err := p.store.Operation(ctx, sequence)
	if errors.Is(err, storage.ErrNotFound) {
		err = ErrNoOperation
	}
	var r Receipt
	if err == nil {
		r, err = p.receipt(o)
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("operation %d: %w", sequence, err)
	}
	return r, nil
}

func (p *Peer) receipt(o storage.Operation) (Receipt, error) {
	r := Receipt{Document: o.Doc, Sequence: o.Row, Hash: o.Hash, Time: o.Time, Device: newDevice(p.secret, o.Doc).String(), p: p}
	kept, err := decodeRecord(o.Record)
	kept.fill(&r)
	return r, err
}

// Progress says where the change is. It needs no connection. The error wraps
// ErrUnknown if the document is no longer in the store.
func (r Receipt) Progress(ctx context.Context) (progress Progress, err error) {
	if r.p == nil {
		return progress, ErrNoOperation
	}
	err = r.p.ask(ctx, r.Document, func(d *desk) error {
		if !d.r.graph.Contains(r.Hash) {
			return ErrUnknown
		}
		ends, err := d.ends(ctx)
		if err == nil {
			progress = d.progress(r.Hash, ends, nil)
		}
		return err
	})
	if err != nil {
		return Progress{}, fmt.Errorf("operation %d on %s: %w", r.Sequence, r.Document, err)
	}
	return progress, nil
}

// elsewhereEvery is how often a waiting receipt looks at what another process has
// noted of the remotes that it is connected to.
const elsewhereEvery = time.Second

// Wait waits until the change is in a state, or in one after it. Names of ends, if
// given, are URLs of remotes or storage ids: all of them must then have it, as
// Acknowledged or Seen. It does not connect to anyone: Run does, or a Run of another
// process on the same file. The error is ctx's, ErrClosed, or as of Progress.
func (r Receipt) Wait(ctx context.Context, s State, ends ...string) error {
	if r.p == nil {
		return ErrNoOperation
	}
	tick := time.NewTicker(elsewhereEvery)
	defer tick.Stop()
	for {
		moved := r.p.moved.channel(r.Document)
		progress, err := r.Progress(ctx)
		if err != nil {
			return err
		}
		if progress.State >= s && r.p.has(progress, s, ends) {
			return nil
		}
		select {
		case <-moved:
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("operation %d on %s is %s, not %s yet: %w", r.Sequence, r.Document, progress.State, s, context.Cause(ctx))
		case <-r.p.ctx.Done():
			return ErrClosed
		}
	}
}

// has reports whether all of the named ends have what the progress is of.
func (p *Peer) has(progress Progress, s State, ends []string) bool {
	have := progress.Acknowledged
	if s == Seen {
		have = progress.Seen
	}
	return !slices.ContainsFunc(ends, func(name string) bool {
		return !slices.Contains(have, name) && !slices.Contains(have, p.others.at(name))
	})
}
