package storage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"syncline/crdt/id"
)

// childEnv names the file that this test binary, run again as a child, appends to.
const childEnv = "SYNCLINE_STORAGE_TEST_CHILD"

// runAsChild is the other process, if this is one.
func runAsChild() bool {
	path := os.Getenv(childEnv)
	if path == "" {
		return false
	}
	if err := child(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// child appends from several goroutines, for ever or until its standard input
// ends, and prints each row with its document and change once Append returned.
func child(path string) error {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		return err
	}
	fmt.Println("open", s.StorageID())
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	seed := uint64(os.Getpid())
	var out sync.Mutex
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(g)))
			doc := id.Document{byte(g % 3)}
			for n := 0; ; {
				size := 1 + rng.IntN(4)
				if rng.IntN(20) == 0 {
					size = 500 // its pages are spilled into the log before its commit
				}
				es := entries(doc, int(seed)<<32+g<<24+n, size)
				n += size
				rows, err := s.Append(ctx, Batch{Entries: es, Heads: map[id.Document][]id.Hash{doc: {es[size-1].Hash}}})
				if errors.Is(err, context.Canceled) {
					return
				}
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				out.Lock()
				for i, row := range rows {
					fmt.Printf("row %d %d %s\n", row, doc[0], es[i].Hash)
				}
				out.Unlock()
			}
		})
	}
	if os.Getenv(childFoldsEnv) != "" {
		for d := range 3 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(100+d)))
				if err := foldUntil(ctx, s, id.Document{byte(d)}, rng); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
			})
		}
	}
	wg.Wait()
	return s.Close()
}

// acknowledged is a line of the child.
type acknowledged struct {
	doc  id.Document
	row  int64
	hash id.Hash
}

// startChild runs the child at path. read calls fn with each row that it prints
// until fn wants no more or the child has ended.
func startChild(t *testing.T, path string, env ...string) (cmd *exec.Cmd, stdin io.Closer, read func(fn func(acknowledged) bool)) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childEnv+"="+path), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	return cmd, in, func(fn func(acknowledged) bool) {
		for lines.Scan() {
			var a acknowledged
			var hash string
			// A line cut off by the kill does not scan.
			if n, _ := fmt.Sscanf(lines.Text(), "row %d %d %s", &a.row, &a.doc[0], &hash); n != 3 || len(hash) != 64 {
				continue
			}
			if a.hash, err = id.ParseHash(hash); err != nil {
				t.Error(err)
			}
			if !fn(a) {
				return
			}
		}
	}
}

// crashes is how often the child is killed; SYNCLINE_CRASHES says otherwise.
func crashes(t *testing.T) int {
	if s := os.Getenv("SYNCLINE_CRASHES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if testing.Short() {
		return 4
	}
	return 20
}

// TestNothingAcknowledgedIsLostByAKill kills a process that appends, at moments
// of no meaning to it, and looks for every row it was given.
func TestNothingAcknowledgedIsLostByAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	all := make(map[id.Document]map[int64]id.Hash)
	total, storageID := 0, ""
	for crash, n := 0, crashes(t); crash < n; crash++ {
		fresh := make(map[id.Document]map[int64]id.Hash) // of this child
		if crash == n-1 {
			fresh = all // the last look is at everything
		}
		cmd, _, read := startChild(t, path)
		left := rng.IntN(1000)
		note := func(a acknowledged) bool {
			for _, m := range []map[id.Document]map[int64]id.Hash{all, fresh} {
				if m[a.doc] == nil {
					m[a.doc] = make(map[int64]id.Hash)
				}
			}
			if _, twice := all[a.doc][a.row]; twice {
				t.Errorf("crash %d: row %d of %x was given twice", crash, a.row, a.doc[0])
			}
			all[a.doc][a.row], fresh[a.doc][a.row] = a.hash, a.hash
			total++
			left--
			return left > 0
		}
		read(note)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		left = 1 << 30
		read(note) // what it printed before it died
		cmd.Wait()

		s, err := Open(context.Background(), path, Options{})
		if err != nil {
			t.Fatalf("crash %d: %v", crash, err)
		}
		if storageID == "" {
			storageID = s.StorageID()
		}
		if s.StorageID() != storageID {
			t.Errorf("crash %d: another storage id", crash)
		}
		for doc, want := range fresh {
			verify(t, s, doc, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d rows acknowledged", total)
}

// verify looks for the wanted rows of a document, and that all its bodies from
// the first of them on are those of their hashes.
func verify(t *testing.T, s *Store, doc id.Document, want map[int64]id.Hash) {
	t.Helper()
	after := int64(math.MaxInt64)
	for row := range want {
		after = min(after, row-1)
	}
	rows, hashes := journalOf(t, s, doc, after)
	found := 0
	heads, err := s.LoadHeads(context.Background(), doc)
	if err != nil || len(heads) != 1 {
		t.Errorf("document %x: heads %v, %v", doc[0], heads, err)
		return
	}
	i, headThere := 0, false
	err = s.Bodies(context.Background(), doc, rows, func(row int64, body []byte) error {
		if hashOf(body) != hashes[i] {
			t.Errorf("row %d: the body is another's", row)
		}
		headThere = headThere || hashes[i] == heads[0]
		if h, ok := want[row]; ok {
			found++
			if h != hashes[i] {
				t.Errorf("row %d is %s, acknowledged was %s", row, hashes[i], h)
			}
		}
		i++
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if found != len(want) {
		t.Errorf("document %x: %d of %d acknowledged rows are there", doc[0], found, len(want))
	}
	if !headThere {
		t.Errorf("document %x: its head is not in the journal", doc[0])
	}
	var counted int64
	err = s.readers.QueryRow(`SELECT count(*) FROM journal WHERE document = (SELECT id FROM documents WHERE doc = ?)`, doc[:]).Scan(&counted)
	d, err2 := s.Document(context.Background(), doc)
	if err != nil || err2 != nil || d.Changes != counted || d.LastRow != rows[len(rows)-1] {
		t.Errorf("document %x: %+v, has %d rows (%v, %v)", doc[0], d, counted, err, err2)
	}
}

func TestAKilledProcessIsNoticedAtTheNextOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	cmd, _, read := startChild(t, path)
	read(func(acknowledged) bool { return false })
	cmd.Process.Kill()
	cmd.Wait()
	known, err := inspect(context.Background(), path, Options{}.withDefaults())
	if !known || err != nil {
		t.Fatalf("known %v, %v", known, err)
	}
	if unclean, err := checkAlone(context.Background(), path, Options{}.withDefaults()); !unclean || err != nil {
		t.Errorf("unclean %v, %v", unclean, err)
	}
}

// TestAnotherProcessAppends has two processes with one file open, and the rows
// of the other told while this one appends too.
func TestAnotherProcessAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := openAt(t, path, Options{Poll: time.Millisecond})
	cmd, stdin, read := startChild(t, path)
	told := watching(t, s, 0)

	theirs := make(map[int64]bool)
	read(func(a acknowledged) bool {
		theirs[a.row] = true
		if a.row%10 == 0 {
			mustAppend(t, s, entry(id.Document{200}, int(a.row)))
		}
		return len(theirs) < 500
	})
	stdin.Close()
	read(func(a acknowledged) bool { theirs[a.row] = true; return true })
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	for len(theirs) > 0 {
		a := <-told
		for row := a.After + 1; row <= a.Through; row++ {
			delete(theirs, row)
		}
	}
}
