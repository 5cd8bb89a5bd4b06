package peer

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"syncline/crdt"
	"syncline/storage"
	"syncline/storage/query"
)

// Query runs a statement that reads the tables of the store: each collection, of all
// documents, is one, with a column for each field of the schema, or the entities as
// JSON without one. See package query for what is there, what is refused, and the
// errors; the rows must be closed.
//
//	rows, err := p.Query(ctx, `SELECT _id, title FROM tasks WHERE done = ? ORDER BY title`, false)
//
// What Do, or a transaction of another process, has stored before the call is seen.
// From the first call of Query, Live or Views on, or from Open with Options.Schema or
// Options.Tables, rows are stored in the transaction of each change. Until then they
// cost nothing, and the first call makes those that are missing, which takes about as
// long as opening each document. A document that cannot be opened is shown as it was,
// and logged.
func (p *Peer) Query(ctx context.Context, sql string, args ...any) (*query.Rows, error) {
	if p.sql == nil {
		return nil, errNoTables
	}
	return p.sql.Query(ctx, sql, args...)
}

// Live yields the result of a statement now, and whenever changes, local or remote,
// have made it another. See query.Engine.Live.
func (p *Peer) Live(ctx context.Context, sql string, args ...any) iter.Seq2[*query.Result, error] {
	if p.sql == nil {
		return func(yield func(*query.Result, error) bool) { yield(nil, errNoTables) }
	}
	return p.sql.Live(ctx, sql, args...)
}

// Views lists what Query can select from.
func (p *Peer) Views(ctx context.Context) ([]query.View, error) {
	if p.sql == nil {
		return nil, errNoTables
	}
	return p.sql.Views(ctx)
}

// errNoTables: a stepped peer's store need not be a file.
var errNoTables = errors.New("the tables of a stepped peer cannot be queried")

// tables reports whether tables are kept from the start on.
func (o *Options) tables() bool { return o.Schema != nil || o.Tables }

// rules are those by which the tables show entities.
func (o *Options) rules() crdt.Rules { return crdt.Rules{Schema: o.Schema, Functions: o.Functions} }

// openSQL makes the store one that can be queried, and has the tables kept if the
// options say so: what they lack is made up in the background.
func (p *Peer) openSQL(ctx context.Context, store *storage.Store) error {
	p.sql = query.New(store, query.Options{Limits: p.o.QueryLimits, Ready: p.showAll})
	if !p.o.tables() {
		return nil
	}
	if err := p.startTables(ctx); err != nil {
		return err
	}
	p.background.Go(func() {
		if err := p.showAll(p.ctx); err != nil && p.ctx.Err() == nil {
			p.o.Log.Error("the tables do not show all documents", "err", err)
		}
	})
	return nil
}

// startTables has the peer keep the tables from now on.
func (p *Peer) startTables(ctx context.Context) error {
	if p.tables.Load() != nil {
		return nil
	}
	p.tabling.Lock()
	defer p.tabling.Unlock()
	if p.tables.Load() != nil || p.tablesErr != nil {
		return p.tablesErr
	}
	t, err := p.openTables(ctx, p.store)
	if err != nil {
		return fmt.Errorf("open the tables of %s: %w", p.Path(), err)
	}
	if t != nil {
		p.tables.Store(t)
	}
	return nil
}

// checkTables acts on tables that another process has made in place of ours. A peer
// without a schema of its own takes them; others leave them alone from then on, or two
// of them would make them again and again.
func (p *Peer) checkTables(ctx context.Context, generation int64) error {
	t := p.tables.Load()
	if t == nil { // maybe since somebody else has come here first
		p.tabling.Lock()
		defer p.tabling.Unlock()
		return p.tablesErr
	}
	if t.generation == generation {
		return nil
	}
	p.tabling.Lock()
	p.tables.CompareAndSwap(t, nil)
	if p.o.Schema != nil {
		p.tablesErr = ErrOtherTables
	}
	p.tabling.Unlock()
	return p.startTables(ctx)
}

// behindTogether is how many documents are looked up at once that are behind.
const behindTogether = 256

// showAll brings the tables up to the journal, of every document that is behind as the
// call finds it.
func (p *Peer) showAll(ctx context.Context) error {
	if err := p.startTables(ctx); err != nil {
		return err
	}
	tried := map[storage.Lag]bool{}
	for {
		limit := behindTogether + len(tried)
		generation, behind, err := p.store.Behind(ctx, limit)
		if err == nil {
			err = p.checkTables(ctx, generation)
		}
		if err != nil {
			return err
		}
		for _, l := range behind {
			if tried[l] || p.tables.Load() == nil {
				continue
			}
			tried[l] = true
			err := p.ask(ctx, l.Doc, func(d *desk) error { return d.catchUp(ctx) })
			switch {
			case ctx.Err() != nil || errors.Is(err, ErrClosed) || errors.Is(err, ErrOtherTables):
				return err
			case err != nil:
				p.o.Log.Error("the tables do not show a document", "doc", l.Doc.String(), "err", err)
			}
		}
		if len(behind) < limit {
			return nil
		}
	}
}
