package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAFullDiskIsSaidAndChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1500k"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	db := filepath.Join(dir, "peer.db")
	doc := done(t, "doc", "new", "--db", db)
	head := op(t, db, doc, "create", "items", "milk", `{"text":"Milk"}`)
	large := filepath.Join(t.TempDir(), "large.json")
	million := fmt.Sprintf(`{"text":{"$scalar":%q}}`, strings.Repeat("x", 1_000_000))
	write(t, large, fmt.Appendf(nil, `{"items":{"a":%s,"b":%[1]s,"c":%[1]s}}`, million))
	other := filepath.Join(t.TempDir(), "other.db")
	elsewhere := done(t, "doc", "import", "--db", other, "--json", large)
	saved := filepath.Join(t.TempDir(), "saved")
	done(t, "doc", "export", "--db", other, elsewhere, saved)
	_, url := startRelay(t, t.TempDir(), "127.0.0.1:0")
	done(t, "sync", "--db", other, "--to", url, "--once")

	stdin(t, []byte(fmt.Sprintf(`{"text":{"$scalar":%q}}`, strings.Repeat("x", 2_000_000))))
	refused(t, 1, []string{"disk is full", "free some space"}, "op", "--db", db, doc, "create", "items", "large", "-")
	refused(t, 1, []string{"disk is full"}, "doc", "import", "--db", db, saved)
	code, _, errs := cli(t, "sync", "--db", db, "--to", url, "--doc", elsewhere, "--once", "--timeout", "2m")
	if code != 1 || !strings.Contains(errs, "full") || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit code %d: %s", code, errs)
	}
	fill(t, filepath.Join(dir, "ballast"))
	refused(t, 1, []string{"full"}, "doc", "new", "--db", filepath.Join(dir, "new.db"))
	refused(t, 1, []string{"no space"}, "doc", "export", "--db", other, elsewhere, filepath.Join(dir, "out"))
	if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
		t.Fatal(err)
	}

	if got := done(t, "doc", "heads", "--db", db, doc); got != head {
		t.Errorf("heads %s, want %s", got, head)
	}
	for l := range strings.SplitSeq(done(t, "doc", "list", "--db", db), "\n") {
		if !strings.HasPrefix(l, doc+"\t1\t1\t") && !strings.HasSuffix(l, "\t0\t0\t0") {
			t.Errorf("something of what was refused is there: %s", l)
		}
	}
	op(t, db, doc, "create", "items", "bread", "{}")
	if left, _ := filepath.Glob(filepath.Join(dir, "*out*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// fill writes a file until there is no space left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for n := 64 << 10; n > 0; n /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(bytes.Repeat([]byte{1}, n))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}
