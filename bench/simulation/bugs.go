package simulation

import (
	"context"
	"errors"
	"slices"
	"time"

	"syncline/crdt"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/peer"
	"syncline/relay/wire"
	"syncline/storage"
)

// Bugs are mistakes that the simulation has to notice, on the model of the store.
var Bugs = []*Bug{
	{
		Name: "acknowledge-before-commit", Does: "what is appended is on the disk 300 ms after everybody was told so",
		Store: func(w *world, n *node, s Store) Store {
			return &lagging{Store: s, w: w, n: n, lag: 300 * time.Millisecond}
		},
		Died: putBack,
	},
	{
		Name: "lose-last-commit", Does: "a process that dies takes its last append with it, however old that is",
		Store: func(w *world, n *node, s Store) Store { return &lagging{Store: s, w: w, n: n} },
		Died:  putBack,
	},
	{
		Name: "forget-shared-heads", Does: "what is shared with others is saved, and not there after a restart",
		Store: func(_ *world, _ *node, s Store) Store { return forgetful{s} },
	},
	{
		Name: "resume-after-loss", Does: "a relay that has lost its data is taken for the one that had it",
		KeepsID: true,
	},
	{
		Name: "drop-of-batch", Does: "one change of a batch of several is not stored",
		Store: func(w *world, n *node, s Store) Store { return &dropping{Store: s, n: n} },
	},
	{
		Name: "without-dep", Does: "a change is sent, and one that it builds on never is",
		Send: withoutDep,
	},
	{
		Name: "ignore-reset", Does: "who is asked to start over does not hear it",
		Send: withoutReset,
	},
	{
		Name: "stop-outbox", Does: "after one document that the other end does not have, nothing is sent to it",
		Send: stopOutbox,
	},
	{
		Name: "retry-fatal", Does: "a token that is refused is tried again as if the network had failed",
		Fault: func(err error) error {
			if f, ok := errors.AsType[*peer.Fault](err); ok && f.Class == peer.ClassUnauthorised {
				return errors.New("something went wrong")
			}
			return err
		},
	},
	{
		Name: "reuse-actor", Does: "a store edits under one actor for ever, restored or not",
		Mint: func(_ *device, secret []byte, doc id.Document) id.Actor {
			return id.Actor(string(crdt.DeviceTag(secret, doc)) + "for ever")
		},
	},
	{
		Name: "apply-twin", Does: "a relay does not see that two changes are twins when it reads its journal",
		Store: func(_ *world, n *node, s Store) Store { return twinBlind{s} },
	},
	{
		Name: "skip-start-up", Does: "what lies between the two transactions of a change is not looked for at a start",
		Store: func(_ *world, _ *node, s Store) Store { return hasty{s} },
	},
	{
		Name: "miss-projection", Does: "one row in four is not written into the tables, which count as up to date",
		Store: func(w *world, _ *node, s Store) Store { return &rowless{Store: s} },
	},
	{
		Name: "miss-heads", Does: "the heads of a document are not written with one append in four",
		Store: func(w *world, _ *node, s Store) Store { return &headless{Store: s} },
	},

	{
		Name: "swallow-error", Does: "an append that the disk refuses is said to be stored",
		Store: func(_ *world, n *node, s Store) Store { return &swallowing{Store: s, n: n} },
	},
	{
		Name: "no-backoff", Does: "who is not let in knocks again at once",
		Backoff: &peer.Backoff{First: 1, Most: 1},
	},
	{
		Name: "drop-frame", Does: "one frame in ten is lost, and the connection goes on",
		Send: func(w *world, _ *end, frame []byte) []byte {
			if !w.mended && w.rng.IntN(10) == 0 {
				return nil
			}
			return frame
		},
	},
	{
		Name: "mix-up-documents", Does: "one sync message in twenty names another document",
		Send: mixUp,
	},
	{
		Name: "lose-record", Does: "a change is stored without the record of its operations, one time in five",
		Store: func(w *world, _ *node, s Store) Store { return &recordless{Store: s} },
	},
	{
		Name: "swap-rows", Does: "an append of several changes returns their rows in the wrong order",
		Store: func(_ *world, _ *node, s Store) Store { return swapping{s} },
	},
	{
		Name: "lose-timer", Does: "one timer in five never fires",
		Timer: func(w *world) bool { return w.rng.IntN(5) > 0 },
	},
	{
		Name: "mix-up-states", Does: "what is shared of one document is saved for another, too",
		Store: func(w *world, _ *node, s Store) Store { return stateMixer{s, w} },
	},
	{
		Name: "deaf-to-leaving", Does: "that a connection has ended is told to nobody at the relay, one time in five",
		Left: func(w *world) bool { return w.rng.IntN(5) > 0 },
	},
}

// FindBug finds a bug by its name.
func FindBug(name string) *Bug {
	i := slices.IndexFunc(Bugs, func(b *Bug) bool { return b.Name == name })
	if i < 0 {
		return nil
	}
	return Bugs[i]
}

// lagging is a store whose appends are not on the disk at once: until then, or until
// the next one without a lag, a copy of the disk is kept as it was before.
type lagging struct {
	Store
	w   *world
	n   *node
	lag time.Duration
}

func (s *lagging) Append(ctx context.Context, b storage.Batch) ([]int64, error) {
	if s.lag == 0 || s.n.before == nil {
		s.n.before = s.n.disk.(modelDisk).Clone()
	}
	if s.lag > 0 {
		before := s.n.before
		s.w.in(s.lag, func() {
			if s.n.before == before {
				s.n.before = nil
			}
		})
	}
	return s.Store.Append(ctx, b)
}

// putBack has a process that died leave its disk without what was not on it.
func putBack(_ *world, n *node) {
	if n.before != nil {
		n.disk = modelDisk{n.before}
		n.before = nil
	}
}

type forgetful struct{ Store }

func (forgetful) SyncState(context.Context, id.Document, string) ([]byte, error) { return nil, nil }

func (forgetful) SyncStates(context.Context, id.Document, func(string, []byte) error) error {
	return nil
}

type dropping struct {
	Store
	n *node
}

func (s *dropping) Append(ctx context.Context, b storage.Batch) ([]int64, error) {
	n := len(b.Entries)
	if n < 2 {
		return s.Store.Append(ctx, b)
	}
	entries := b.Entries
	b.Entries = entries[:n-1]
	rows, err := s.Store.Append(ctx, b)
	if err != nil {
		return nil, err
	}
	return append(rows, rows[n-2]+1), nil
}

// syncMessage decodes a frame that is a sync message.
func syncMessage(frame []byte) (*wire.Sync, *session.Message) {
	m, err := wire.Decode(frame)
	if err != nil {
		return nil, nil
	}
	sync, ok := m.(*wire.Sync)
	if !ok {
		return nil, nil
	}
	msg, err := session.Decode(sync.Data)
	if err != nil {
		return nil, nil
	}
	return sync, msg
}

func encoded(sync *wire.Sync, m *session.Message) []byte {
	sync.Data = m.Encode()
	b, err := wire.Encode(sync)
	if err != nil {
		return nil
	}
	return b
}

// withoutDep takes one change in five, always the same ones, out of messages that
// have several.
func withoutDep(_ *world, _ *end, frame []byte) []byte {
	sync, m := syncMessage(frame)
	if m == nil || len(m.Chunks) == 0 {
		return frame
	}
	changes, err := m.Changes()
	if err != nil {
		return frame
	}
	var chunks [][]byte
	for _, c := range changes {
		if c.Hash[0]%5 > 0 {
			chunks = append(chunks, c.Raw())
		}
	}
	m.Chunks = chunks
	return encoded(sync, m)
}

// withoutReset has what asks to start over not arrive.
func withoutReset(_ *world, _ *end, frame []byte) []byte {
	_, m := syncMessage(frame)
	if m != nil && (m.Flags&session.SyncReset != 0 || len(m.Heads) > 0 && len(m.Have) > 0 && len(m.Have[0].LastSync) == 0 && m.Have[0].Bloom.Empty()) {
		return nil
	}
	return frame
}

func stopOutbox(w *world, e *end, frame []byte) []byte {
	m, err := wire.Decode(frame)
	if err != nil {
		return frame
	}
	if w.stopped == nil {
		w.stopped = map[[2]*node]bool{}
	}
	if _, ok := m.(*wire.Unavailable); ok {
		w.stopped[[2]*node{e.other.n, e.n}] = true
	}
	if _, ok := m.(*wire.Sync); ok && w.stopped[[2]*node{e.n, e.other.n}] {
		return nil
	}
	return frame
}

func mixUp(w *world, _ *end, frame []byte) []byte {
	sync, m := syncMessage(frame)
	if m == nil || len(m.Chunks) == 0 || w.rng.IntN(20) > 0 {
		return frame
	}
	sync.Document = w.docs[w.rng.IntN(len(w.docs))]
	return encoded(sync, m)
}

// twinBlind gives the second change of an actor and number another actor.
type twinBlind struct{ Store }

func (s twinBlind) Journal(ctx context.Context, doc id.Document, after int64, fn func(int64, id.Hash, []byte) error) error {
	type number struct {
		actor id.Actor
		seq   uint64
	}
	seen := map[number]bool{}
	return s.Store.Journal(ctx, doc, after, func(row int64, h id.Hash, head []byte) error {
		m, err := graph.DecodeMeta(h, row, head)
		if err != nil {
			return err
		}
		if n := (number{m.Actor, m.Seq}); seen[n] {
			m.Actor, m.Seq = "another one, it seems", 1
			head = m.Encode()
		} else {
			seen[n] = true
		}
		return fn(row, h, head)
	})
}

type hasty struct{ Store }

func (hasty) Interrupted(context.Context) ([]storage.Mark, error) { return nil, nil }

// rowless leaves rows of projections out, whichever way those come.
type rowless struct {
	Store
	n int
}

func (s *rowless) without(ps []*storage.Projection) {
	for _, p := range ps {
		p.Rows = slices.DeleteFunc(p.Rows, func(storage.EntityRow) bool {
			s.n++
			return s.n%4 == 0
		})
	}
}

func (s *rowless) Append(ctx context.Context, b storage.Batch) ([]int64, error) {
	s.without(b.Projections)
	return s.Store.Append(ctx, b)
}

func (s *rowless) Project(ctx context.Context, applied []int64, ps ...*storage.Projection) error {
	s.without(ps)
	return s.Store.Project(ctx, applied, ps...)
}

type headless struct {
	Store
	n int
}

func (s *headless) Append(ctx context.Context, b storage.Batch) ([]int64, error) {
	if s.n++; s.n%4 == 0 {
		b.Heads = nil
	}
	return s.Store.Append(ctx, b)
}

// swallowing is beneath the gate, so it refuses by itself.
type swallowing struct {
	Store
	n *node
}

func (s *swallowing) Append(ctx context.Context, b storage.Batch) ([]int64, error) {
	if len(b.Entries) > 0 && s.n.w.rng.IntN(30) == 0 {
		rows := make([]int64, len(b.Entries))
		for i := range rows {
			rows[i] = s.LastRow() + 1 + int64(i)
		}
		return rows, nil
	}
	return s.Store.Append(ctx, b)
}

type recordless struct {
	Store
	n int
}

func (s *recordless) Append(ctx context.Context, b storage.Batch) ([]int64, error) {
	if s.n++; s.n%5 == 0 {
		b.Entries = slices.Clone(b.Entries)
		for i := range b.Entries {
			b.Entries[i].Operation = nil
		}
	}
	return s.Store.Append(ctx, b)
}

type swapping struct{ Store }

func (s swapping) Append(ctx context.Context, b storage.Batch) ([]int64, error) {
	rows, err := s.Store.Append(ctx, b)
	slices.Reverse(rows)
	return rows, err
}

type stateMixer struct {
	Store
	w *world
}

func (s stateMixer) SaveSyncState(ctx context.Context, doc id.Document, remote string, state []byte) error {
	for _, other := range s.w.docs {
		if err := s.Store.SaveSyncState(ctx, other, remote, state); err != nil {
			return err
		}
	}
	return nil
}
