package simulation

import (
	"context"
	"fmt"

	"syncline/crdt/id"
	"syncline/storage"
)

// gate is the store next to the process: it has the process die, and refuses, when it
// is told to.
type gate struct {
	Store
	n      *node
	close  func()
	dieIn  int  // transactions; 0: it does not die
	before bool // the last of them, and not after it
	dying  bool
	alone  bool // one change alone is with the core
}

// open opens the node's store for a process.
func (n *node) open() (*gate, error) {
	s, close, err := n.disk.open()
	if err != nil {
		return nil, err
	}
	n.stored = truth{}
	if err := n.stored.read(context.Background(), s); err != nil {
		close()
		return nil, err
	}
	s = recorder{s, n}
	if hook := n.w.bug.Store; hook != nil {
		s = hook(n.w, n, s)
	}
	n.gate = &gate{Store: s, n: n, close: close}
	return n.gate, nil
}

// write is one transaction. A process does not die while one change alone is with the
// core: that change is put in quarantine for good then, as it should be.
func (g *gate) write(fn func() error) error {
	if g.n.refuses && !g.alone {
		return fmt.Errorf("%s: %w", g.n.name, storage.ErrFull)
	}
	if g.dieIn > 0 {
		g.dieIn--
		g.dying = g.dieIn == 0
	}
	if g.dying && g.before && !g.alone {
		panic(crash{g.n})
	}
	err := fn()
	if g.dying && !g.alone {
		panic(crash{g.n})
	}
	return err
}

// Append is storage.Store's.
func (g *gate) Append(ctx context.Context, b storage.Batch) (rows []int64, err error) {
	err = g.write(func() error {
		rows, err = g.Store.Append(ctx, b)
		return err
	})
	return rows, err
}

// AddDocument is storage.Store's.
func (g *gate) AddDocument(ctx context.Context, doc id.Document) error {
	return g.write(func() error { return g.Store.AddDocument(ctx, doc) })
}

// BeginApplying is storage.Store's.
func (g *gate) BeginApplying(ctx context.Context, rows []int64) error {
	return g.write(func() error {
		err := g.Store.BeginApplying(ctx, rows)
		g.alone = err == nil && len(rows) == 1
		return err
	})
}

// EndApplying is storage.Store's.
func (g *gate) EndApplying(ctx context.Context, rows []int64) error {
	return g.write(func() error {
		g.alone = false
		return g.Store.EndApplying(ctx, rows)
	})
}

// Project is storage.Store's.
func (g *gate) Project(ctx context.Context, applied []int64, ps ...*storage.Projection) error {
	return g.write(func() error {
		g.alone = false
		return g.Store.Project(ctx, applied, ps...)
	})
}

// SetTables is storage.Store's.
func (g *gate) SetTables(ctx context.Context, source []byte, tables []storage.Table) (d storage.Definition, err error) {
	err = g.write(func() error {
		d, err = g.Store.SetTables(ctx, source, tables)
		return err
	})
	return d, err
}

// ResetApplying is storage.Store's.
func (g *gate) ResetApplying(ctx context.Context, rows []int64) error {
	return g.write(func() error { return g.Store.ResetApplying(ctx, rows) })
}

// SaveSyncState is storage.Store's.
func (g *gate) SaveSyncState(ctx context.Context, doc id.Document, remote string, state []byte) error {
	return g.write(func() error { return g.Store.SaveSyncState(ctx, doc, remote, state) })
}

// SetUndelivered is storage.Store's.
func (g *gate) SetUndelivered(ctx context.Context, doc id.Document, remote string, record []byte) error {
	return g.write(func() error { return g.Store.SetUndelivered(ctx, doc, remote, record) })
}

// SetValue is storage.Store's.
func (g *gate) SetValue(ctx context.Context, key string, value []byte) error {
	return g.write(func() error { return g.Store.SetValue(ctx, key, value) })
}

// InitValue is storage.Store's.
func (g *gate) InitValue(ctx context.Context, key string, value []byte) (kept []byte, err error) {
	err = g.write(func() error {
		kept, err = g.Store.InitValue(ctx, key, value)
		return err
	})
	return kept, err
}

// DeleteValue is storage.Store's.
func (g *gate) DeleteValue(ctx context.Context, key string) error {
	return g.write(func() error { return g.Store.DeleteValue(ctx, key) })
}
