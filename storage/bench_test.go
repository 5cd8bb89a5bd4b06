package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"syncline/crdt/id"
)

// history is the size of the document that the reading benchmarks read: an
// editing trace of one change for each keystroke.
const history = 250_000

func historyStore(b *testing.B) (*Store, id.Document, []int64) {
	s := openTemp(b)
	doc := id.Document{1}
	return s, doc, mustAppend(b, s, entries(doc, 0, history)...)
}

// BenchmarkFsync is what the disk can do: one small write and one fsync. What
// one appender reaches is to be seen beside it.
func BenchmarkFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	for n := 0; b.Loop(); n++ {
		// A megabyte over and over, as a write-ahead log is.
		if _, err := f.WriteAt(page, int64(n%256)*int64(len(page))); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendAlone is one caller that appends one change at a time.
func BenchmarkAppendAlone(b *testing.B) {
	s := openTemp(b)
	doc := id.Document{1}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		mustAppend(b, s, entry(doc, n))
	}
}

// BenchmarkAppend64 is 64 callers, each with a document of its own, that append
// one change at a time.
func BenchmarkAppend64(b *testing.B) {
	s := openTemp(b)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			doc := id.Document{byte(i)}
			for n := 0; left.Add(-1) >= 0; n++ {
				if _, err := s.Append(context.Background(), Batch{Entries: []Entry{entry(doc, n)}}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	st := s.Stats()
	b.ReportMetric(float64(st.Batches)/b.Elapsed().Seconds(), "appends/s")
	b.ReportMetric(float64(st.Batches)/float64(st.Commits), "appends/fsync")
}

// BenchmarkAppendHistory is one batch with a whole editing trace.
func BenchmarkAppendHistory(b *testing.B) {
	es := entries(id.Document{1}, 0, history)
	for b.Loop() {
		b.StopTimer()
		s := openTemp(b)
		b.StartTimer()
		mustAppend(b, s, es...)
	}
	b.ReportMetric(float64(b.N)*history/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkJournal(b *testing.B) {
	s, doc, _ := historyStore(b)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		err := s.Journal(context.Background(), doc, 0, func(int64, id.Hash, []byte) error { n++; return nil })
		if err != nil || n != history {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.N)*history/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkBodies(b *testing.B) {
	s, doc, rows := historyStore(b)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		err := s.Bodies(context.Background(), doc, rows, func(int64, []byte) error { n++; return nil })
		if err != nil || n != history {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.N)*history/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkOpenUnclean is an Open that has to check the file first.
func BenchmarkOpenUnclean(b *testing.B) {
	path := filepath.Join(b.TempDir(), "store.db")
	s := openAt(b, path, Options{})
	mustAppend(b, s, entries(id.Document{1}, 0, history)...)
	for b.Loop() {
		s.opening = -1 // Close takes nobody's mark away, as if it had not run
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		var err error
		if s, err = Open(context.Background(), path, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/(1<<20), "MiB")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFold is the transaction that folds 4,096 rows of a long history, with
// a body of a tenth of theirs.
func BenchmarkFold(b *testing.B) {
	s, doc, rows := historyStore(b)
	const n = 4096
	body := make([]byte, n*8)
	for b.Loop() {
		if len(rows) < n {
			b.StopTimer()
			s, doc, rows = historyStore(b)
			b.StartTimer()
		}
		mustFold(b, s, Fold{Segment: Segment{Doc: doc, FirstRow: rows[0], LastRow: rows[n-1], Rows: n}, Body: body})
		rows = rows[n:]
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkBackup copies a long history, which is checked and synced.
func BenchmarkBackup(b *testing.B) {
	s, _, _ := historyStore(b)
	total := int64(0)
	for n := 0; b.Loop(); n++ {
		err := s.Backup(context.Background(), filepath.Join(b.TempDir(), fmt.Sprint(n)), func(_, all int64) { total = all })
		if err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(total)
}

// BenchmarkDelete takes a long history out of the store.
func BenchmarkDelete(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s, doc, _ := historyStore(b)
		b.StartTimer()
		if _, err := s.DeleteDocument(context.Background(), doc); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*history/b.Elapsed().Seconds(), "rows/s")
}
