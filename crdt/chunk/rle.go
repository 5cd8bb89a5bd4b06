package chunk

import (
	"errors"
	"math"
	"unicode/utf8"
	"unsafe"
)

// The columns are run-length encoded: a signed count, then for n > 0 one value
// that stands n times, for n < 0 that many values, for 0 an unsigned count of
// nulls. The decoders below take only what an encoder that always joins equal
// neighbours would write. Without that, a document that is saved and loaded
// again would give back a change of another hash.

var (
	errRows      = errors.New("has more rows than there are operations")
	errFewRows   = errors.New("has fewer rows than there are operations")
	errTrailing  = errors.New("has bytes behind its last row")
	errRunOfOne  = errors.New("has a run of one")
	errRunSplit  = errors.New("has equal neighbours outside of one run")
	errOnlyNulls = errors.New("holds only nulls and so must be left out")
	errUTF8      = errors.New("has a string that is not UTF-8")
	errRange     = errors.New("has a number out of range")
	errZeroRun   = errors.New("has an empty run")
)

type runKind uint8

const (
	noRun runKind = iota
	sameRun
	literalRun
	nullRun
)

// runs keeps the state that the decoders of integers and of strings share.
type runs struct {
	reader
	left int // values left in this run
	rows int // rows left behind this run
	kind runKind
	lax  bool // take any encoding of the rows, as in document chunks, where hashes decide
}

// header reads the header of the next run.
func (r *runs) header() error {
	prev := r.kind
	if r.rows == 0 {
		return errRows
	}
	if r.done() {
		return errFewRows
	}
	n, err := r.int()
	if err != nil {
		return err
	}
	switch {
	case n == 1 && !r.lax:
		return errRunOfOne
	case n > 0:
		r.kind = sameRun
	case n < 0:
		if prev == literalRun && !r.lax {
			return errRunSplit
		}
		if n == math.MinInt64 {
			return errRows
		}
		n, r.kind = -n, literalRun
	default:
		if prev == nullRun && !r.lax {
			return errRunSplit
		}
		u, err := r.uint()
		if err != nil {
			return err
		}
		if u == 0 {
			return errZeroRun
		}
		if u > uint64(r.rows) {
			return errRows
		}
		if prev == noRun && u == uint64(r.rows) && !r.lax {
			return errOnlyNulls
		}
		n, r.kind = int64(u), nullRun
	}
	if n > int64(r.rows) {
		return errRows
	}
	r.left, r.rows = int(n), r.rows-int(n)
	return nil
}

func (r *runs) end() error {
	switch {
	case r.left > 0 || r.rows > 0:
		return errFewRows
	case !r.done():
		return errTrailing
	}
	return nil
}

// intColumn decodes a column of integers. A column that is absent is all nulls.
type intColumn struct {
	runs
	val    uint64
	fresh  bool // val was read ahead and is yet to be returned
	signed bool
	absent bool
}

func newIntColumn(b []byte, rows int, signed bool) intColumn {
	return intColumn{runs: runs{reader: reader{buf: b}, rows: rows}, signed: signed, absent: len(b) == 0}
}

func (c *intColumn) value() (uint64, error) {
	if c.signed {
		v, err := c.int()
		return uint64(v), err
	}
	return c.uint()
}

// next returns the value of the next row and whether it has one.
func (c *intColumn) next() (uint64, bool, error) {
	if c.absent {
		return 0, false, nil
	}
	if c.left == 0 {
		prev := c.kind
		if err := c.header(); err != nil {
			return 0, false, err
		}
		if c.kind != nullRun {
			v, err := c.value()
			if err != nil {
				return 0, false, err
			}
			if (prev == sameRun || prev == literalRun) && v == c.val && !c.lax {
				return 0, false, errRunSplit
			}
			c.val, c.fresh = v, true
		}
	}
	c.left--
	switch c.kind {
	case nullRun:
		return 0, false, nil
	case literalRun:
		if c.fresh {
			c.fresh = false
			return c.val, true, nil
		}
		v, err := c.value()
		if err != nil {
			return 0, false, err
		}
		if v == c.val && !c.lax {
			return 0, false, errRunSplit
		}
		c.val = v
	}
	return c.val, true, nil
}

func (c *intColumn) end() error {
	if c.absent {
		return nil
	}
	return c.runs.end()
}

// countRows sums the run lengths of a column of integers, up to limit, without
// spending time in proportion to them.
func countRows(b []byte, limit uint64) (uint64, error) {
	r := reader{buf: b}
	var total uint64
	for !r.done() {
		n, err := r.int()
		if err != nil {
			return 0, err
		}
		values := uint64(1)
		switch {
		case n < 0:
			if n == math.MinInt64 {
				return 0, errRange
			}
			values = uint64(-n)
			n = -n
		case n == 0:
			u, err := r.uint()
			if err != nil {
				return 0, err
			}
			if u > math.MaxInt64 {
				return 0, errRange
			}
			values, n = 0, int64(u)
		}
		if values > uint64(r.rest()) {
			return 0, errShort
		}
		if total += uint64(n); total > limit {
			return 0, errRange
		}
		for ; values > 0; values-- {
			for {
				if r.done() {
					return 0, errShort
				}
				r.off++
				if r.buf[r.off-1] < 0x80 {
					break
				}
			}
		}
	}
	return total, nil
}

// sumColumn adds up a column of unsigned integers without nulls, of which the
// number of rows is known, up to limit.
func sumColumn(b []byte, rows int, limit uint64) (uint64, error) {
	var total uint64
	for c := newIntColumn(b, rows, false); c.left > 0 || c.rows > 0; {
		v, ok, err := c.next()
		if err != nil {
			return 0, err
		}
		n := uint64(1)
		if c.kind == sameRun {
			n += uint64(c.left)
			c.left = 0
		}
		if !ok || v > limit || (total+v*n) > limit {
			return 0, errRange
		}
		total += v * n
	}
	return total, nil
}

// deltaColumn decodes integers of which the differences are run-length encoded.
type deltaColumn struct {
	intColumn
	abs int64
}

func newDeltaColumn(b []byte, rows int) deltaColumn {
	return deltaColumn{intColumn: newIntColumn(b, rows, true)}
}

func (c *deltaColumn) next() (int64, bool, error) {
	d, ok, err := c.intColumn.next()
	if err != nil || !ok {
		return 0, false, err
	}
	sum := c.abs + int64(d)
	if (sum > c.abs) != (int64(d) > 0) && d != 0 {
		return 0, false, errRange
	}
	c.abs = sum
	return sum, true, nil
}

// counter reads a delta column of counters, which fit in 32 bits.
func (c *deltaColumn) counter() (uint64, bool, error) {
	v, ok, err := c.next()
	if ok && (v < 0 || v > MaxCounter) {
		return 0, false, errRange
	}
	return uint64(v), ok, err
}

// stringColumn decodes a column of strings. It is intColumn over again because one
// generic type for both, with a function to read a value, takes a third longer
// for a whole change.
type stringColumn struct {
	runs
	val    string
	fresh  bool
	absent bool
}

func newStringColumn(b []byte, rows int) stringColumn {
	return stringColumn{runs: runs{reader: reader{buf: b}, rows: rows}, absent: len(b) == 0}
}

func (c *stringColumn) value() (string, error) {
	b, err := c.prefixed()
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", errUTF8
	}
	// The chunk is never modified once it is decoded, so its bytes serve as the string.
	return unsafe.String(unsafe.SliceData(b), len(b)), nil
}

func (c *stringColumn) next() (string, bool, error) {
	if c.absent {
		return "", false, nil
	}
	if c.left == 0 {
		prev := c.kind
		if err := c.header(); err != nil {
			return "", false, err
		}
		if c.kind != nullRun {
			v, err := c.value()
			if err != nil {
				return "", false, err
			}
			if (prev == sameRun || prev == literalRun) && v == c.val && !c.lax {
				return "", false, errRunSplit
			}
			c.val, c.fresh = v, true
		}
	}
	c.left--
	switch c.kind {
	case nullRun:
		return "", false, nil
	case literalRun:
		if c.fresh {
			c.fresh = false
			return c.val, true, nil
		}
		v, err := c.value()
		if err != nil {
			return "", false, err
		}
		if v == c.val && !c.lax {
			return "", false, errRunSplit
		}
		c.val = v
	}
	return c.val, true, nil
}

func (c *stringColumn) end() error {
	if c.absent {
		return nil
	}
	return c.runs.end()
}

// boolColumn decodes booleans: counts of false and true in turn, false first.
type boolColumn struct {
	reader
	left    int
	rows    int
	val     bool
	started bool
	seen    bool // a true was read
	absent  bool // all false
}

func newBoolColumn(b []byte, rows int) boolColumn {
	return boolColumn{reader: reader{buf: b}, rows: rows, val: true, absent: len(b) == 0}
}

func (c *boolColumn) next() (bool, error) {
	if c.absent {
		return false, nil
	}
	for c.left == 0 {
		if c.rows == 0 {
			return false, errRows
		}
		if c.done() {
			return false, errFewRows
		}
		n, err := c.uint()
		if err != nil {
			return false, err
		}
		if n > uint64(c.rows) {
			return false, errRows
		}
		if n == 0 && c.started {
			return false, errZeroRun
		}
		c.started, c.val = true, !c.val
		c.seen = c.seen || c.val
		c.left, c.rows = int(n), c.rows-int(n)
	}
	c.left--
	return c.val, nil
}

func (c *boolColumn) end() error {
	switch {
	case c.absent:
		return nil
	case c.left > 0 || c.rows > 0:
		return errFewRows
	case !c.done():
		return errTrailing
	}
	return nil
}
