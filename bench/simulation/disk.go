package simulation

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"syncline/bench/simulation/memory"
	"syncline/crdt/id"
	"syncline/peer"
	"syncline/relay"
	"syncline/storage"
)

// Store is all that peers and relays use of a store.
type Store interface {
	peer.Store
	relay.Store
}

// disk is what outlives a process.
type disk interface {
	// open opens it. close is how the process ends: not as one that closes its store.
	open() (s Store, close func(), err error)
	// copy returns a copy as it is now, whoever has it open.
	copy() (disk, error)
	// rows lists what the tables of whoever has it open show of a document.
	rows(doc id.Document) ([]string, error)
}

// modelDisk is in memory.
type modelDisk struct{ *memory.Disk }

func (d modelDisk) open() (Store, func(), error) {
	s := d.Open()
	return s, s.Crash, nil
}

func (d modelDisk) copy() (disk, error) { return modelDisk{d.Clone()}, nil }

// fileDisk is an SQLite file. A process that dies leaves it as it is, with its log:
// the next one gets a copy of both, as the process that simulates it has not died.
type fileDisk struct {
	now  func() time.Time
	dir  string
	path string
	n    *int // files made

	opened *storage.Store // by the running process
}

func (d *fileDisk) another() string {
	*d.n++
	return filepath.Join(d.dir, fmt.Sprintf("%d.db", *d.n))
}

func (d *fileDisk) open() (Store, func(), error) {
	s, err := storage.Open(context.Background(), d.path, storage.Options{Now: d.now, Readers: 1, CacheBytes: 1 << 20})
	if err != nil {
		return nil, nil, err
	}
	d.opened = s
	return s, func() {
		next, err := d.copyFiles()
		s.Close()
		if err == nil {
			os.Remove(d.path)
			d.path = next
		}
	}, nil
}

func (d *fileDisk) copyFiles() (path string, err error) {
	path = d.another()
	for _, end := range []string{"", "-wal"} {
		b, err := os.ReadFile(d.path + end)
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(path+end, b, 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	return path, nil
}

func (d *fileDisk) copy() (disk, error) {
	path, err := d.copyFiles()
	return &fileDisk{now: d.now, dir: d.dir, path: path, n: d.n}, err
}

// truth is what is durable on a node's disk.
type truth map[id.Document]map[id.Hash]bool

func (t truth) add(doc id.Document, h id.Hash) {
	if t[doc] == nil {
		t[doc] = map[id.Hash]bool{}
	}
	t[doc][h] = true
}

// read finds out what is durable.
func (t truth) read(ctx context.Context, s Store) error {
	return s.KnownDocuments(ctx, func(d storage.DocumentInfo) error {
		return s.Journal(ctx, d.Doc, 0, func(_ int64, h id.Hash, _ []byte) error {
			t.add(d.Doc, h)
			return nil
		})
	})
}

// recorder is the store next to the disk: it notes what really is durable.
type recorder struct {
	Store
	n *node
}

// Append is storage.Store's.
func (r recorder) Append(ctx context.Context, b storage.Batch) ([]int64, error) {
	rows, err := r.Store.Append(ctx, b)
	if err != nil {
		return rows, err
	}
	for i := range b.Entries {
		e := &b.Entries[i]
		r.n.stored.add(e.Doc, e.Hash)
		if e.Operation != nil {
			r.n.w.born[e.Hash] = e.Doc
		} else if doc, ok := r.n.w.born[e.Hash]; ok && doc != e.Doc {
			r.n.w.fail("%s stores a change of document %s in document %s", r.n.name, doc, e.Doc)
		}
	}
	return rows, nil
}
