package crdt_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/automerge/automerge-go"
	"go.uber.org/goleak"
)

// The C core aborts the whole process on input that it does not expect, so it
// is only ever asked in a child: this same test binary, started again with
// childEnv set. The child reads frames of inputs on its standard input, lets
// the core work on each, and answers each as soon as it is done, so that the
// parent knows which input a child died of.
//
//	frame  = uint32 length · inputs          (little endian)
//	input  = entry byte · uint32 length · bytes
//	answer = verdict byte · uint32 length · heads (32 bytes each) or text

// childEnv makes the test binary a judge; its value is the memory limit of the
// child in bytes.
const childEnv = "SYNCLINE_JUDGE_MEMORY"

// entry is the way by which an input reaches the core.
type entry byte

const (
	// byIncremental: concatenated chunks, LoadIncremental.
	byIncremental entry = iota
	// byApply: concatenated chunks, decoded and applied one by one; and in the
	// opposite order, which must come to the same.
	byApply
	// byLoad: concatenated chunks of any type, Load.
	byLoad
	// byMessage: uint32 length · concatenated chunks of the document so far · sync message.
	byMessage
	// byEdit is byIncremental, and then everything is edited and saved again.
	byEdit
	// byDocument: concatenated changes, worked on by our own document.
	byDocument
)

// verdict is what the judge says of an input.
type verdict byte

const (
	// fine: the core took it, saved it, loaded it again to the same heads and content.
	fine verdict = iota
	// refused: the core returned an error on the input itself.
	refused
	// broken: the core took it and made something that it cannot read back.
	broken
)

func TestMain(m *testing.M) {
	if limit := os.Getenv(childEnv); limit != "" {
		os.Exit(judgeMain(limit))
	}
	goleak.VerifyTestMain(m)
}

func judgeMain(limit string) int {
	bytes, err := strconv.ParseInt(limit, 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		return 2
	}
	go dieWhenLargerThan(bytes)
	if err := judge(os.Stdin, os.Stdout); err != nil && err != io.EOF {
		fmt.Fprintln(os.Stderr, "judge:", err)
		return 2
	}
	return 0
}

// dieWhenLargerThan ends the process once its resident memory passes the
// limit: the core's own memory is invisible to Go's collector and its limits.
func dieWhenLargerThan(limit int64) {
	for range time.Tick(10 * time.Millisecond) {
		if rss := residentBytes(); rss > limit {
			fmt.Fprintf(os.Stderr, "judge: out of memory: more than %d MiB resident\n", limit>>20)
			os.Exit(3)
		}
	}
}

// residentBytes is 0 where the system has no /proc.
func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

func judge(in io.Reader, out io.Writer) error {
	r := bufio.NewReader(in)
	for n := 0; ; {
		var length [4]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return err
		}
		frame := make([]byte, binary.LittleEndian.Uint32(length[:]))
		if _, err := io.ReadFull(r, frame); err != nil {
			return err
		}
		for len(frame) > 0 {
			size := binary.LittleEndian.Uint32(frame[1:])
			v, text := judgeOne(entry(frame[0]), frame[5:5+size])
			answer := append([]byte{byte(v)}, binary.LittleEndian.AppendUint32(nil, uint32(len(text)))...)
			if _, err := out.Write(append(answer, text...)); err != nil {
				return err
			}
			frame = frame[5+size:]
			// Documents are freed by finalizers only.
			if n++; n%16 == 0 {
				runtime.GC()
			}
		}
	}
}

// judgeOne lets the core work on one input. A panic of the Go wrapper counts as
// broken; an abort of the core ends the process here.
func judgeOne(e entry, in []byte) (v verdict, text []byte) {
	defer func() {
		if p := recover(); p != nil {
			v, text = broken, fmt.Appendf(nil, "wrapper panic: %v", p)
		}
	}()
	if e == byDocument {
		heads, err := judgeDocument(in)
		if err != nil {
			return broken, []byte(err.Error())
		}
		return fine, heads
	}
	doc, err := enter(e, in)
	if err != nil {
		return refused, []byte(err.Error())
	}
	heads := headBytes(doc)
	if err := rereads(doc, heads); err != nil {
		return broken, []byte(err.Error())
	}
	switch e {
	case byEdit:
		if err := editAndReread(doc); err != nil {
			return broken, fmt.Appendf(nil, "after an edit: %v", err)
		}
	case byApply:
		if err := applyBackwards(in, heads, digest(doc)); err != nil {
			return broken, []byte(err.Error())
		}
	}
	return fine, heads
}

func enter(e entry, in []byte) (*automerge.Doc, error) {
	switch e {
	case byLoad:
		return automerge.Load(in)
	case byApply:
		changes, err := automerge.LoadChanges(in)
		if err != nil {
			return nil, err
		}
		doc := automerge.New()
		for _, c := range changes {
			if err := doc.Apply(c); err != nil {
				return nil, err
			}
		}
		return doc, nil
	case byMessage:
		size := binary.LittleEndian.Uint32(in)
		doc := automerge.New()
		if err := doc.LoadIncremental(in[4 : 4+size]); err != nil {
			return nil, err
		}
		s := automerge.NewSyncState(doc)
		if _, err := s.ReceiveMessage(in[4+size:]); err != nil {
			return nil, err
		}
		s.GenerateMessage()
		return doc, nil
	default:
		doc := automerge.New()
		return doc, doc.LoadIncremental(in)
	}
}

// rereads saves the document, loads it and compares heads, content, and what
// the loaded one saves.
func rereads(doc *automerge.Doc, heads []byte) error {
	content := digest(doc)
	saved := doc.Save()
	again, err := automerge.Load(saved)
	if err != nil {
		return fmt.Errorf("saved document does not load: %w", err)
	}
	if !bytes.Equal(headBytes(again), heads) {
		return fmt.Errorf("saved document loads to other heads: %x, not %x", headBytes(again), heads)
	}
	if c := digest(again); c != content {
		return fmt.Errorf("saved document loads to other content")
	}
	if !bytes.Equal(again.Save(), saved) {
		return fmt.Errorf("loaded document saves to other bytes")
	}
	return nil
}

// applyBackwards applies the last change first: each waits in the core until its
// deps have come. Replicas must not differ by the order of arrival.
func applyBackwards(in, heads []byte, content uint64) error {
	changes, err := automerge.LoadChanges(in)
	if err != nil {
		return err
	}
	doc := automerge.New()
	for _, c := range slices.Backward(changes) {
		if err := doc.Apply(c); err != nil {
			return fmt.Errorf("apply backwards: %w", err)
		}
	}
	if !bytes.Equal(headBytes(doc), heads) || digest(doc) != content {
		return errors.New("applied in the opposite order, the document is another")
	}
	return nil
}

func headBytes(doc *automerge.Doc) []byte {
	heads := doc.Heads()
	slices.SortFunc(heads, func(a, b automerge.ChangeHash) int { return bytes.Compare(a[:], b[:]) })
	var b []byte
	for _, h := range heads {
		b = append(b, h[:]...)
	}
	return b
}

// digest walks every value of the document.
func digest(doc *automerge.Doc) uint64 {
	h := fnv.New64a()
	walk(h, doc.Root())
	return h.Sum64()
}

func walk(w io.Writer, v *automerge.Value) {
	fmt.Fprintf(w, "%v ", v.Kind())
	switch v.Kind() {
	case automerge.KindMap:
		values, err := v.Map().Values()
		fmt.Fprint(w, len(values), err)
		for _, k := range slices.Sorted(maps.Keys(values)) {
			fmt.Fprintf(w, "%q:", k)
			walk(w, values[k])
		}
	case automerge.KindList:
		values, err := v.List().Values()
		fmt.Fprint(w, len(values), err)
		for _, e := range values {
			walk(w, e)
		}
	case automerge.KindText:
		s, err := v.Text().Get()
		fmt.Fprintf(w, "%q %v", s, err)
	case automerge.KindCounter:
		n, err := v.Counter().Get()
		fmt.Fprint(w, n, err)
	case automerge.KindUnknown, automerge.KindVoid:
	default:
		fmt.Fprint(w, v.Interface())
	}
}

// editAndReread changes every object of the document, as its user would after
// the input arrived, and reads it all back.
func editAndReread(doc *automerge.Doc) error {
	if err := doc.SetActorID("fffffffffffffffffffffffffffffffe"); err != nil {
		return err
	}
	edit(doc.Root(), 0)
	if _, err := doc.Commit("edit", automerge.CommitOptions{AllowEmpty: true}); err != nil {
		return err
	}
	if _, err := doc.Changes(); err != nil {
		return err
	}
	return rereads(doc, headBytes(doc))
}

// edit ignores errors: an edit that the core refuses is no damage.
func edit(v *automerge.Value, depth int) {
	if depth > 20 {
		return
	}
	switch v.Kind() {
	case automerge.KindMap:
		m := v.Map()
		values, _ := m.Values()
		for i, k := range slices.Sorted(maps.Keys(values)) {
			edit(values[k], depth+1)
			switch i % 3 {
			case 0:
				_ = m.Set(k, int64(i))
			case 1:
				_ = m.Delete(k)
			}
		}
		_ = m.Set("edited", "x")
	case automerge.KindList:
		l := v.List()
		values, _ := l.Values()
		for _, e := range values {
			edit(e, depth+1)
		}
		if n := l.Len(); n > 1 {
			_ = l.Set(n/2, true)
			_ = l.Delete(0)
		}
		_ = l.Insert(0, "first")
		_ = l.Append("last")
	case automerge.KindText:
		t := v.Text()
		if n := t.Len(); n > 1 {
			_ = t.Splice(n/2, 1, "mid")
		}
		_ = t.Insert(0, "s")
		_ = t.Append("e")
	case automerge.KindCounter:
		_ = v.Counter().Inc(3)
	}
}
