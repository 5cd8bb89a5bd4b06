package memory

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"syncline/crdt/id"
	"syncline/peer"
	"syncline/relay"
	"syncline/storage"
)

var (
	_ peer.Store  = (*Store)(nil)
	_ relay.Store = (*Store)(nil)
	_ peer.Store  = (*storage.Store)(nil)
)

// TestModelAnswersAsTheStoreDoes does to both what rapid thinks of, with both closed
// and opened again in between.
func TestModelAnswersAsTheStoreDoes(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "simulation")
	if err != nil {
		dir = t.TempDir()
	}
	defer os.RemoveAll(dir)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		own := filepath.Join(dir, fmt.Sprint(run))
		if err := os.Mkdir(own, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(own) // what is in memory may be little
		c := &pair{t: t, path: filepath.Join(own, "store"), clock: time.UnixMilli(1_000_000)}
		c.open()
		c.disk = NewDisk(c.real.StorageID(), func() time.Time { return c.clock })
		c.model = c.disk.Open()
		defer func() { c.real.Close() }()
		t.Repeat(c.actions())
	})
}

// pair is a store and its model.
type pair struct {
	t     *rapid.T
	path  string
	clock time.Time
	real  peer.Store
	disk  *Disk
	model peer.Store
}

func (c *pair) open() {
	s, err := storage.Open(context.Background(), c.path, storage.Options{Readers: 1, Now: func() time.Time { return c.clock }})
	if err != nil {
		c.t.Fatal(err)
	}
	c.real = s
}

// both has both answer, and compares what they say.
func (c *pair) both(what string, ask func(peer.Store) (any, error)) {
	got, gotErr := ask(c.model)
	want, wantErr := ask(c.real)
	if (gotErr == nil) != (wantErr == nil) {
		c.t.Fatalf("%s: the model says %v, the store %v", what, gotErr, wantErr)
	}
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		c.t.Fatalf("%s: the model says\n%s\nand the store\n%s", what, g, w)
	}
}

func (c *pair) actions() map[string]func(*rapid.T) {
	ctx := context.Background()
	doc := rapid.Custom(func(t *rapid.T) id.Document { return id.Document{rapid.Byte().Draw(t, "doc") % 3} })
	hash := rapid.Custom(func(t *rapid.T) id.Hash { return id.Hash{rapid.Byte().Draw(t, "hash") % 40} })
	name := rapid.SampledFrom([]string{"a", "b", "remote x", "remote y"})
	blob := rapid.SliceOfN(rapid.Byte(), 1, 4)
	rows := rapid.SliceOfN(rapid.Int64Range(1, 60), 0, 5)
	wrote := func(err error) (any, error) { return nil, err }
	projection := rapid.Custom(c.projection)
	// A projection says what became of it, so that each store gets its own.
	keep := func(p *storage.Projection) (mine *storage.Projection) {
		if p == nil {
			return nil
		}
		copied := *p
		return &copied
	}
	return map[string]func(*rapid.T){
		"append": func(t *rapid.T) {
			c.clock = c.clock.Add(time.Millisecond)
			var b storage.Batch
			for range rapid.IntRange(0, 10).Draw(t, "entries") {
				e := storage.Entry{Doc: doc.Draw(t, ""), Hash: hash.Draw(t, ""), Actor: "a", Head: blob.Draw(t, "head"), Body: blob.Draw(t, "body"), Applying: rapid.Bool().Draw(t, "applying")}
				if rapid.Bool().Draw(t, "ours") {
					e.Operation, e.Time = blob.Draw(t, "record"), c.clock.Add(-time.Hour)
				}
				b.Entries = append(b.Entries, e)
			}
			if rapid.Bool().Draw(t, "heads") {
				b.Heads = map[id.Document][]id.Hash{doc.Draw(t, ""): {hash.Draw(t, ""), hash.Draw(t, "")}}
			}
			if rapid.Bool().Draw(t, "quarantine") {
				b.Quarantine = []storage.Evidence{{Doc: doc.Draw(t, ""), Hash: hash.Draw(t, ""), Reason: "r"}}
			}
			b.Applied = rows.Draw(t, "applied")
			var p *storage.Projection
			if rapid.Bool().Draw(t, "with rows") {
				p = projection.Draw(t, "projection")
			}
			c.both("append", func(s peer.Store) (any, error) {
				mine := keep(p)
				if b.Projections = nil; mine == nil {
					return s.Append(ctx, b)
				}
				b.Projections = []*storage.Projection{mine}
				rows, err := s.Append(ctx, b)
				return []any{rows, mine.Kept}, err
			})
		},
		"set tables": func(t *rapid.T) {
			if rapid.IntRange(0, 2).Draw(t, "seldom") > 0 {
				return
			}
			source, all := blob.Draw(t, "source"), []storage.Table{{Collection: "defined", Columns: []storage.Column{{Field: "x"}, {Field: "_doc"}}}}
			c.both("set tables", func(s peer.Store) (any, error) { return s.SetTables(ctx, source, all) })
		},
		"project": func(t *rapid.T) {
			ns, p := rows.Draw(t, "rows"), projection.Draw(t, "projection")
			c.both("project", func(s peer.Store) (any, error) {
				mine := keep(p)
				err := s.Project(ctx, ns, mine)
				return mine.Kept, err
			})
		},
		"begin": func(t *rapid.T) {
			ns := rows.Draw(t, "rows")
			c.both("begin", func(s peer.Store) (any, error) { return wrote(s.BeginApplying(ctx, ns)) })
		},
		"end": func(t *rapid.T) {
			ns := rows.Draw(t, "rows")
			c.both("end", func(s peer.Store) (any, error) { return wrote(s.EndApplying(ctx, ns)) })
		},
		"reset": func(t *rapid.T) {
			ns := rows.Draw(t, "rows")
			c.both("reset", func(s peer.Store) (any, error) { return wrote(s.ResetApplying(ctx, ns)) })
		},
		"add": func(t *rapid.T) {
			d := doc.Draw(t, "")
			c.both("add", func(s peer.Store) (any, error) { return wrote(s.AddDocument(ctx, d)) })
		},
		"sync state": func(t *rapid.T) {
			d, n, b := doc.Draw(t, ""), name.Draw(t, ""), blob.Draw(t, "")
			if rapid.Bool().Draw(t, "forget") {
				b = nil
			}
			c.both("save", func(s peer.Store) (any, error) { return wrote(s.SaveSyncState(ctx, d, n, b)) })
		},
		"undelivered": func(t *rapid.T) {
			d, n, b := doc.Draw(t, ""), name.Draw(t, ""), blob.Draw(t, "")
			if rapid.Bool().Draw(t, "forget") {
				b = nil
			}
			c.both("undelivered", func(s peer.Store) (any, error) { return wrote(s.SetUndelivered(ctx, d, n, b)) })
		},
		"value": func(t *rapid.T) {
			n, b := name.Draw(t, ""), blob.Draw(t, "")
			switch rapid.IntRange(0, 3).Draw(t, "how") {
			case 0:
				c.both("set", func(s peer.Store) (any, error) { return wrote(s.SetValue(ctx, n, b)) })
			case 1:
				c.both("init", func(s peer.Store) (any, error) { return s.InitValue(ctx, n, b) })
			case 2:
				c.both("delete", func(s peer.Store) (any, error) { return wrote(s.DeleteValue(ctx, n)) })
			case 3:
				c.both("set passing", func(s peer.Store) (any, error) { return wrote(s.SetPassing(ctx, n, b)) })
			}
		},
		"open again": func(t *rapid.T) {
			c.real.Close()
			c.model.Close()
			c.open()
			c.model = c.disk.Open()
			c.compare(ctx, rows.Draw(t, "bodies"))
		},
		"crash": func(t *rapid.T) {
			left := c.path + "+"
			for _, end := range []string{"", "-wal"} {
				b, err := os.ReadFile(c.path + end)
				if err == nil {
					err = os.WriteFile(left+end, b, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			c.real.Close()
			c.path = left
			if rapid.Bool().Draw(t, "into a copy") {
				c.disk = c.disk.Clone()
			} else {
				c.model.(*Store).Crash()
			}
			c.open()
			c.model = c.disk.Open()
			c.compare(ctx, rows.Draw(t, "bodies"))
		},
		"compare": func(t *rapid.T) { c.compare(ctx, rows.Draw(t, "bodies")) },
	}
}

// compare has both tell all that they have.
func (c *pair) compare(ctx context.Context, rows []int64) {
	c.both("what is there", func(s peer.Store) (any, error) {
		var all []any
		note := func(v ...any) { all = append(all, fmt.Sprintf("%+v", v)) }
		err := s.KnownDocuments(ctx, func(d storage.DocumentInfo) error { note(d); return nil })
		if err == nil {
			err = s.Undelivered(ctx, func(u storage.Undelivered) error { note(u); return nil })
		}
		for _, prefix := range []string{"a", "b", "remote "} {
			if err == nil {
				err = s.Values(ctx, prefix, func(rest string, v []byte) error { note(rest, v); return nil })
			}
		}
		note(s.LastRow())
		if err == nil {
			var d storage.Definition
			d, err = s.Definition(ctx)
			note(d)
		}
		if err == nil {
			generation, behind, berr := s.Behind(ctx, 2)
			note(generation, behind)
			err = berr
		}
		return all, err
	})
	openings := map[peer.Store]map[int64]int64{c.real: {}, c.model: {}}
	marks := func(s peer.Store, list []storage.Mark) []storage.Mark {
		for i := range list { // openings are numbered as they like
			m := openings[s]
			if _, ok := m[list[i].By]; !ok {
				m[list[i].By] = int64(len(m))
			}
			list[i].By = m[list[i].By]
		}
		return list
	}
	c.both("interrupted", func(s peer.Store) (any, error) {
		list, err := s.Interrupted(ctx)
		return marks(s, list), err
	})
	for n := range byte(3) {
		doc := id.Document{n}
		c.both("a document", func(s peer.Store) (any, error) {
			var all []any
			note := func(v ...any) { all = append(all, fmt.Sprintf("%+v", v)) }
			d, err := s.Document(ctx, doc)
			note(d, err == nil)
			err = s.Journal(ctx, doc, 3, func(row int64, h id.Hash, head []byte) error { note(row, h, head); return nil })
			if err == nil {
				err = s.Quarantined(ctx, doc, func(e storage.Evidence) error { note(e); return nil })
			}
			if err == nil {
				err = s.Operations(ctx, doc, 2, func(o storage.Operation) error { note(o); return nil })
			}
			if err == nil {
				err = s.SyncStates(ctx, doc, func(remote string, b []byte) error { note(remote, b); return nil })
			}
			applying, aerr := s.Applying(ctx, doc)
			note(marks(s, applying), aerr)
			state, serr := s.SyncState(ctx, doc, "a")
			note(state, serr)
			lag, lerr := s.Lag(ctx, doc)
			note(lag, lerr == nil)
			note(c.rowsOf(s, doc))
			between, berr := s.DocumentsBetween(ctx, 2, 50)
			note(between, berr)
			return all, err
		})
		c.both("bodies", func(s peer.Store) (any, error) {
			var all []string
			err := s.Bodies(ctx, doc, rows, func(row int64, b []byte) error { all = append(all, fmt.Sprint(row, b)); return nil })
			return all, err
		})
	}
	for _, n := range rows {
		c.both("operation", func(s peer.Store) (any, error) {
			o, err := s.Operation(ctx, n)
			if err != nil {
				o = storage.Operation{}
			}
			return o, err
		})
	}
}
