package storage

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"syncline/crdt/id"
)

// sqlite opens a file as another program would.
func sqlite(t *testing.T, path string, statements ...string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", dsn(path, nil))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	return db
}

// snapshot returns the names and contents of a directory.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

func TestOtherFilesAreRefusedAndNotTouched(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want error
	}{
		"text": {func(t *testing.T, path string) {
			os.WriteFile(path, bytes.Repeat([]byte("Dear diary, "), 1000), 0o600)
		}, ErrForeign},
		"a short text": {func(t *testing.T, path string) { os.WriteFile(path, []byte("x"), 0o600) }, ErrForeign},
		"a directory":  {func(t *testing.T, path string) { os.Mkdir(path, 0o700) }, ErrForeign},
		"another database": {func(t *testing.T, path string) {
			sqlite(t, path, "CREATE TABLE diary (day TEXT)").Close()
		}, ErrForeign},
		"another database in WAL mode": {func(t *testing.T, path string) {
			sqlite(t, path, "PRAGMA journal_mode = WAL", "CREATE TABLE diary (day TEXT)").Close()
		}, ErrForeign},
		"another application": {func(t *testing.T, path string) {
			sqlite(t, path, "PRAGMA application_id = 7", "PRAGMA user_version = 1").Close()
		}, ErrForeign},
		"a newer schema": {func(t *testing.T, path string) {
			openTempAt(t, path)
			sqlite(t, path, fmt.Sprintf("PRAGMA user_version = %d", len(migrations())+1)).Close()
		}, ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "store.db")
			c.make(t, path)
			if name == "a directory" {
				if _, err := Open(context.Background(), path, Options{}); !errors.Is(err, c.want) {
					t.Errorf("opened: %v", err)
				}
				return
			}
			before := snapshot(t, dir)
			s, err := Open(context.Background(), path, Options{})
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open says %v, want %v and the path", err, c.want)
			}
			after := snapshot(t, dir)
			for name, b := range after {
				if before[name] != b {
					t.Errorf("%s was changed or made", name)
				}
			}
			if len(after) != len(before) {
				t.Errorf("%d files, before %d", len(after), len(before))
			}
		})
	}
}

// openTempAt makes a store and closes it.
func openTempAt(t *testing.T, path string) {
	t.Helper()
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A database whose tables are only in its log, as after a crash, looks empty
// from outside; the second look, with the log, refuses it.
func TestAnotherDatabaseThatLooksEmptyIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := sqlite(t, path, "PRAGMA journal_mode = WAL", "CREATE TABLE diary (day TEXT)")
	defer db.Close()
	if s, err := Open(context.Background(), path, Options{}); !errors.Is(err, ErrForeign) {
		t.Errorf("opened: %v", err)
		s.Close()
	}
	var n int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d tables (%v), want the one that was there", n, err)
	}
}

func TestANewFileNeedsItsDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "store.db")
	if _, err := Open(context.Background(), path, Options{}); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("Open says %v", err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	openAt(t, empty, Options{})
}

func TestTheStorageIDLastsAsLongAsTheData(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	open := func() string {
		s, err := Open(context.Background(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return s.StorageID()
	}
	first := open()
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(first) {
		t.Errorf("storage id %q is no random UUID", first)
	}
	if again := open(); again != first {
		t.Errorf("reopened: %s, was %s", again, first)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if other := open(); other == first {
		t.Error("new data has the old storage id")
	}
}

func TestManyOpenANewFileAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	stores := make([]*Store, 8)
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() {
			s, err := Open(context.Background(), path, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			stores[i] = s
			mustAppend(t, s, entry(id.Document{1}, i))
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	if rows, _ := journalOf(t, stores[0], id.Document{1}, 0); len(rows) != len(stores) {
		t.Errorf("%d rows, want %d", len(rows), len(stores))
	}
	for _, s := range stores {
		if s.StorageID() != stores[0].StorageID() {
			t.Error("two storage ids for one file")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if names := snapshot(t, filepath.Dir(path)); len(names) != 1 {
		t.Errorf("after the last Close there are %d files", len(names))
	}
}

// leaveUnclean ends a store as a crash does: what marks it as open stays.
func leaveUnclean(t *testing.T, path string) {
	t.Helper()
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, entries(id.Document{1}, 0, 5000)...)
	s.opening = -1 // so that Close takes nobody's mark away
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTheFileIsCheckedAfterAnUncleanEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	var log bytes.Buffer
	o := Options{Log: slog.New(slog.NewTextHandler(&log, nil))}
	checked := func() bool { defer log.Reset(); return strings.Contains(log.String(), "not clean") }

	leaveUnclean(t, path)
	first := openAt(t, path, o)
	if !checked() {
		t.Error("not checked after an unclean end")
	}
	// While somebody has it open, nobody else checks, and nobody's end is unclean.
	second, err := Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	if checked() {
		t.Error("checked beside a store that is open")
	}
	first.Close()
	second.Close()
	openAt(t, path, o).Close()
	if checked() {
		t.Error("checked after a clean end")
	}
}

func TestADamagedFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	leaveUnclean(t, path)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := f.Stat()
	// Every fourth page past the first ones: some of them are in use.
	for at := int64(20 * 4096); at < info.Size(); at += 4 * 4096 {
		if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, 4096), at); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	s, err := Open(context.Background(), path, Options{})
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("Open says %v", err)
	}
}

func TestMigrationsAreNumbered(t *testing.T) {
	files, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if !strings.HasPrefix(f.Name(), fmt.Sprintf("%04d_", i+1)) {
			t.Errorf("migration %d is named %s", i+1, f.Name())
		}
	}
	s := openTemp(t)
	var loose int
	err = s.readers.QueryRow(`SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'`).Scan(&loose)
	if err != nil || loose > 0 {
		t.Errorf("%d tables are not STRICT (%v)", loose, err)
	}
}

func TestAStoreKnowsOfTheOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := openAt(t, path, Options{})
	others := func(want int64) {
		t.Helper()
		if n, err := s.Others(context.Background()); n != want || err != nil {
			t.Errorf("%d others, %v; want %d", n, err, want)
		}
	}
	others(0)
	other := openAt(t, path, Options{})
	others(1)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	others(0)
}
