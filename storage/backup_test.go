package storage

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"syncline/crdt/id"
)

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	for name := range snapshot(t, dir) {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func TestABackupIsTheStoreAtOneMoment(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc := id.Document{1}
	es := entries(doc, 0, 20_000)
	es[19_000].Applying = true
	rows := mustAppend(t, s, es...)
	if err := s.BeginApplying(ctx, rows[19_000:19_001]); err != nil {
		t.Fatal(err)
	}
	mustFold(t, s, Fold{Segment: Segment{Doc: doc, FirstRow: rows[0], LastRow: rows[99], Rows: 100}, Body: []byte("body")})

	// Another document grows from between the steps.
	dir := t.TempDir()
	path := filepath.Join(dir, "copy.db")
	calls, last := 0, int64(0)
	err := s.Backup(ctx, path, func(done, total int64) {
		if done <= last || done > total {
			t.Errorf("%d of %d bytes after %d", done, total, last)
		}
		last = done
		mustAppend(t, s, entries(id.Document{2}, 100*calls, 100)...)
		calls++
		if done == total {
			last = total
		}
	})
	if err != nil || calls < 3 {
		t.Fatalf("%d calls, %v", calls, err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"copy.db"}) {
		t.Errorf("files %q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != last {
		t.Errorf("%d bytes told of, the file is %+v (%v)", last, info, err)
	}

	c := openAt(t, path, Options{})
	if c.StorageID() != s.StorageID() {
		t.Error("the copy is another store")
	}
	got, _ := journalOf(t, c, doc, 0)
	if !slices.Equal(got, rows[100:]) || len(segmentsOf(t, c, doc)) != 1 {
		t.Errorf("%d rows and %d segments in the copy", len(got), len(segmentsOf(t, c, doc)))
	}
	if _, err := c.Document(ctx, id.Document{2}); !errors.Is(err, ErrNotFound) {
		t.Errorf("what came during the copy: %v", err)
	}
	// What was being applied here was not interrupted there.
	marks, err := c.Applying(ctx, doc)
	if err != nil || len(marks) != 1 || marks[0].State != MarkWaiting {
		t.Errorf("marks %+v, %v", marks, err)
	}
	if marks, err = s.Applying(ctx, doc); err != nil || marks[0].State != MarkOurs {
		t.Errorf("marks here %+v, %v", marks, err)
	}
	// The row numbers of both go on.
	mustAppend(t, c, entry(doc, 30_000))
	mustAppend(t, s, entry(doc, 30_000))
}

func TestBackupsThatFailLeaveNothing(t *testing.T) {
	s := openTemp(t)
	mustAppend(t, s, entries(id.Document{1}, 0, 20_000)...)
	for name, c := range map[string]struct {
		path     string // in the directory
		progress func(cancel func(), path string)
		want     error
	}{
		"a file is there":    {path: "there", want: fs.ErrExist},
		"no directory":       {path: "none/copy", want: fs.ErrNotExist},
		"a file comes there": {path: "copy", progress: func(_ func(), path string) { os.WriteFile(path, []byte("x"), 0o600) }, want: fs.ErrExist},
		"cancelled":          {path: "copy", progress: func(cancel func(), _ string) { cancel() }, want: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			failBackup(t, s, c.path, c.progress, c.want)
		})
	}
	// Last, because nothing works after it.
	t.Run("the store closes", func(t *testing.T) {
		failBackup(t, s, "copy", func(func(), string) { s.stop() }, ErrClosed)
	})
}

func failBackup(t *testing.T, s *Store, name string, progress func(cancel func(), path string), want error) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there"), []byte("diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	path := filepath.Join(dir, name)
	err := s.Backup(ctx, path, func(int64, int64) {
		if progress != nil {
			progress(cancel, path)
		}
	})
	if !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v, want %v and the path", err, want)
	}
	for name, content := range snapshot(t, dir) {
		if !(name == "there" && content == "diary" || name == "copy" && content == "x") {
			t.Errorf("%s is left, %d bytes", name, len(content))
		}
	}
}

func TestABackupOntoAFullDisk(t *testing.T) {
	dir := t.TempDir()
	mountTmpfs(t, dir, "size=1m")
	s := openTemp(t)
	mustAppend(t, s, entries(id.Document{1}, 0, 10_000)...)
	if err := s.Backup(context.Background(), filepath.Join(dir, "copy"), nil); !errors.Is(err, ErrFull) {
		t.Errorf("%v", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}

// A page that is damaged is found before anybody relies on the copy.
func TestABackupOfADamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := openAt(t, path, Options{})
	mustAppend(t, s, entries(id.Document{1}, 0, 10_000)...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[300*4096 : 310*4096])
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, Options{})
	dir := t.TempDir()
	if err := s.Backup(context.Background(), filepath.Join(dir, "copy"), nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}

func TestDiskFree(t *testing.T) {
	dir := t.TempDir()
	mountTmpfs(t, dir, "size=1m")
	if err := os.WriteFile(filepath.Join(dir, "file"), make([]byte, 256<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "file")} {
		free, total, err := DiskFree(path)
		if err != nil || total != 1<<20 || free != 768<<10 {
			t.Errorf("%s: %d of %d bytes free, %v", path, free, total, err)
		}
	}
	if _, _, err := DiskFree(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a path that is not there: %v", err)
	}
}
