package chunk

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"unicode/utf8"

	"syncline/crdt/id"
)

// ParseChange decodes and validates one change chunk, type 1 or 2. Nothing may
// follow it. The result keeps b, which must not be modified afterwards.
func ParseChange(b []byte) (*Change, error) {
	typ, whole, body, rest, err := split(b)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, malformed("%d bytes follow the change", len(rest))
	}
	if typ != typeChange {
		return nil, malformed("a document or a bundle stands where a change is expected")
	}
	hash, err := hashOf(whole)
	if err != nil {
		return nil, err
	}
	return parseChange(whole, body, hash, actorTable{})
}

// actorTable keeps one copy of each actor id that the changes of a batch name.
type actorTable map[string]id.Actor

func (t actorTable) intern(b []byte) id.Actor {
	a, ok := t[string(b)]
	if !ok {
		a = id.Actor(b)
		t[string(a)] = a
	}
	return a
}

func parseChange(whole, body []byte, hash id.Hash, actors actorTable) (*Change, error) {
	if len(whole) > MaxChangeBytes {
		return nil, malformed("change %s has %d bytes; the limit is %d", hash, len(whole), MaxChangeBytes)
	}
	c := &Change{Hash: hash, raw: whole, body: len(whole) - len(body)}
	if err := c.readHeader(actors); err != nil {
		return nil, malformed("change %s: %w", hash, err)
	}
	if err := c.validateOps(); err != nil {
		return nil, malformed("change %s: %w", hash, err)
	}
	return c, nil
}

// readHeader reads everything before the column table.
func (c *Change) readHeader(actors actorTable) error {
	r := &reader{buf: c.raw, off: c.body}
	n, err := r.uint()
	if err != nil {
		return fmt.Errorf("number of deps: %w", err)
	}
	if n > MaxDeps || n*32 > uint64(r.rest()) {
		return fmt.Errorf("claims %d deps", n)
	}
	c.Deps = make([]id.Hash, n)
	for i := range c.Deps {
		b, _ := r.take(32)
		c.Deps[i] = id.Hash(b)
		if i > 0 && c.Deps[i-1].Compare(c.Deps[i]) >= 0 {
			return fmt.Errorf("deps are not in ascending order")
		}
	}
	if c.Actor, err = r.actor(actors); err != nil {
		return fmt.Errorf("actor: %w", err)
	}
	if c.Seq, err = r.uint(); err != nil || c.Seq == 0 || c.Seq > MaxSeq {
		return fmt.Errorf("sequence number: %w", orRange(err))
	}
	if c.StartOp, err = r.uint(); err != nil || c.StartOp == 0 || c.StartOp > MaxCounter {
		return fmt.Errorf("start of its operations: %w", orRange(err))
	}
	if c.Time, err = r.int(); err != nil || c.Time > MaxTime || c.Time < -MaxTime {
		return fmt.Errorf("time: %w", orRange(err))
	}
	msg, err := r.prefixed()
	if err != nil {
		return fmt.Errorf("message: %w", err)
	}
	if !utf8.Valid(msg) {
		return fmt.Errorf("message: %w", errUTF8)
	}
	c.Message = string(msg)
	if n, err = r.uint(); err != nil {
		return fmt.Errorf("number of other actors: %w", err)
	}
	if n > uint64(r.rest()) {
		return fmt.Errorf("claims %d other actors", n)
	}
	for range n {
		a, err := r.actor(actors)
		if err != nil {
			return fmt.Errorf("other actors: %w", err)
		}
		if k := len(c.OtherActors); k > 0 && c.OtherActors[k-1] >= a || a == c.Actor {
			return fmt.Errorf("other actors are not in ascending order or name the author")
		}
		c.OtherActors = append(c.OtherActors, a)
	}
	c.cols = r.off
	return nil
}

func orRange(err error) error {
	if err == nil {
		return errRange
	}
	return err
}

// actor reads a length-prefixed actor id.
func (r *reader) actor(actors actorTable) (id.Actor, error) {
	b, err := r.prefixed()
	if err != nil {
		return "", err
	}
	if len(b) > MaxActorBytes {
		return "", fmt.Errorf("has %d bytes; the limit is %d", len(b), MaxActorBytes)
	}
	return actors.intern(b), nil
}

// opColumns are the column bytes of a change, empty where a column is absent.
type opColumns struct {
	objActor, objCtr, keyActor, keyCtr, keyStr, insert, action []byte
	valueMeta, value, predCount, predActor, predCtr            []byte
	expand, markName                                           []byte
}

func (k *opColumns) field(spec uint64) *[]byte {
	switch spec {
	case colObjActor:
		return &k.objActor
	case colObjCtr:
		return &k.objCtr
	case colKeyActor:
		return &k.keyActor
	case colKeyCtr:
		return &k.keyCtr
	case colKeyStr:
		return &k.keyStr
	case colInsert:
		return &k.insert
	case colAction:
		return &k.action
	case colValueMeta:
		return &k.valueMeta
	case colValue:
		return &k.value
	case colPredCount:
		return &k.predCount
	case colPredActor:
		return &k.predActor
	case colPredCtr:
		return &k.predCtr
	case colExpand:
		return &k.expand
	case colMarkName:
		return &k.markName
	}
	return nil
}

// readColumns finds the columns by their table. What follows the last column is
// extra bytes, kept as they are.
func (c *Change) readColumns() (k opColumns, err error) {
	r := reader{buf: c.raw, off: c.cols}
	n, err := r.uint()
	if err != nil {
		return k, fmt.Errorf("column table: %w", err)
	}
	table := r
	for range n {
		if _, err := r.uint(); err != nil {
			return k, fmt.Errorf("column table: %w", err)
		}
		if _, err := r.uint(); err != nil {
			return k, fmt.Errorf("column table: %w", err)
		}
	}
	last := uint64(0)
	for range n {
		spec, _ := table.uint()
		size, _ := table.uint()
		f := k.field(spec)
		if f == nil {
			return k, fmt.Errorf("column %#x is unknown", spec)
		}
		if spec <= last {
			return k, fmt.Errorf("columns are not in ascending order")
		}
		if size == 0 {
			return k, fmt.Errorf("column %#x is empty and so must be left out", spec)
		}
		if *f, err = r.take(size); err != nil {
			return k, fmt.Errorf("column %#x: %w", spec, err)
		}
		last = spec
	}
	if len(k.markName) > 0 && r.rest() > 0 {
		// JavaScript 3.5.0 panics on some of these. Nobody writes extra bytes today.
		return k, fmt.Errorf("%d bytes follow the names of its marks", r.rest())
	}
	return k, nil
}

// validateOps walks all operations once, checking each, and gathers what the
// change creates.
func (c *Change) validateOps() error {
	k, err := c.readColumns()
	if err != nil {
		return err
	}
	if c.NumOps, err = countRows(k.action, MaxOps); err != nil {
		return fmt.Errorf("action column: %w", err)
	}
	if c.StartOp+c.NumOps-1 > MaxCounter {
		return fmt.Errorf("operation counters run past %d", uint64(MaxCounter))
	}
	it, err := newOpReader(&k, int(c.NumOps), len(c.OtherActors))
	if err != nil {
		return err
	}
	defer it.release()
	v := validator{c: c, free: maxFreeOps + opsPerByte*len(c.raw)}
	if n := len(c.OtherActors); n > 0 {
		v.used = make([]bool, n+1)
	}
	for i := range c.NumOps {
		if err := it.next(); err != nil {
			return fmt.Errorf("operation %d: %w", c.StartOp+i, err)
		}
		if err := v.check(c.StartOp+i, &it.op); err != nil {
			return fmt.Errorf("operation %d (%s): %w", c.StartOp+i, it.op.Action, err)
		}
	}
	if err := it.end(); err != nil {
		return err
	}
	if v.open.Action == Mark {
		return errors.New("its last mark has no end")
	}
	if len(v.used) > 0 && slices.Contains(v.used[1:], false) {
		return fmt.Errorf("other actors name one that no operation refers to")
	}
	return nil
}

// Ops walks the operations in order, each with its counter. The Op is reused
// between steps; its Value and strings share the chunk's memory.
func (c *Change) Ops() iter.Seq2[uint64, *Op] {
	return func(yield func(uint64, *Op) bool) {
		if c.NumOps == 0 {
			return
		}
		k, err := c.readColumns()
		if err != nil {
			panic("chunk: a validated change has unreadable columns: " + err.Error())
		}
		it, err := newOpReader(&k, int(c.NumOps), len(c.OtherActors))
		if it != nil {
			defer it.release()
		}
		for i := range c.NumOps {
			if err == nil {
				err = it.next()
			}
			if err != nil {
				panic("chunk: a validated change has an unreadable operation: " + err.Error())
			}
			if !yield(c.StartOp+i, &it.op) {
				return
			}
		}
	}
}

// Extra returns the bytes behind the last column, which future writers may use.
func (c *Change) Extra() []byte {
	r := reader{buf: c.raw, off: c.cols}
	n, _ := r.uint()
	var total uint64
	for range n {
		r.uint()
		size, _ := r.uint()
		total += size
	}
	return c.raw[r.off+int(total):]
}

// Header returns what Encode needs to write the change again.
func (c *Change) Header() Header {
	return Header{Actor: c.Actor, Seq: c.Seq, StartOp: c.StartOp, Time: c.Time, Message: c.Message,
		Deps: c.Deps, OtherActors: c.OtherActors, Extra: c.Extra()}
}
