package query

import (
	"errors"
	"time"
)

// Errors that callers branch on. They come with what is wrong and what to do.
var (
	// ErrRefused: the statement does something other than reading the tables.
	ErrRefused = errors.New("refused")
	// ErrSQL: SQLite does not understand the statement, or it has failed.
	ErrSQL = errors.New("SQL")
	// ErrTime: the statement took longer than Limits.Time.
	ErrTime = errors.New("the query took too long and was stopped; select less, or raise the time limit")
	// ErrTooMany: there are more rows than Limits.Rows or Limits.Result.
	ErrTooMany = errors.New("the query has too many rows; add a LIMIT, or raise the limit of rows")
	// ErrClosed: the Engine was closed.
	ErrClosed = errors.New("queries are closed")
)

// Limits of one statement. The zero is usable.
type Limits struct {
	// Time is how long a statement may take, from its start until its rows are
	// closed: the file's write-ahead log grows meanwhile. 0: 30 s.
	Time time.Duration
	// Rows is how many rows Query gives. 0: 1,000,000.
	Rows int
	// Live is how many rows a result of Live has: each is kept in memory. 0: 10,000.
	Live int
	// SQL is the length of a statement in bytes. 0: 100,000.
	SQL int
	// Value is the length of a text or blob in bytes, also of those in between.
	// 0: 16 MiB.
	Value int
	// Result bounds the bytes of a result of Live. 0: 64 MiB.
	Result int
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, value int) {
		if *v <= 0 {
			*v = value
		}
	}
	if l.Time <= 0 {
		l.Time = 30 * time.Second
	}
	set(&l.Rows, 1_000_000)
	set(&l.Live, 10_000)
	set(&l.SQL, 100_000)
	set(&l.Value, 16<<20)
	set(&l.Result, 64<<20)
	return l
}
