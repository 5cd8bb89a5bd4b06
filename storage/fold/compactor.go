package fold

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"syncline/crdt/id"
	"syncline/storage"
)

// Options of a Compactor. Only Store is required.
type Options struct {
	Store *storage.Store
	// Share is the part of one processor that it may use. 0: 0.25.
	Share float64
	// Hold, if set, says that nothing is to be written for now. It is asked again a
	// second later.
	Hold func() bool
	// Did, if set, is called after each step, with its error and how long it worked;
	// it is for metrics.
	Did func(d Done, worked time.Duration, err error)
	// Log is told of what could not be folded. nil: silent.
	Log *slog.Logger
}

const (
	// maxTouched bounds the documents that are counted. Those left out are found by
	// the next survey.
	maxTouched = 1 << 16
	// surveyEvery is how often the store is asked for documents with much to fold.
	surveyEvery = 10 * time.Minute
	surveyed    = 4096 // documents at a time
	// settleRuns is by how many runs a document may grow before it is folded though
	// it does not settle.
	settleRuns = 16
	// workAtATime is after how much work a pause is made.
	workAtATime = 5 * time.Millisecond
)

// Compactor folds the documents of a store in the background.
type Compactor struct {
	o      Options
	limits limits
	news   chan struct{} // holds a token when there is something to look at

	mu      sync.Mutex
	touched map[id.Document]int64 // new rows since the last look
	due     []due                 // by their time
	queued  map[id.Document]*queued

	// Owned by Run.
	unfit   map[id.Document]int64 // changes it had when a part could not be folded
	noChunk map[id.Document]int64 // … when no chunk could be made
	began   time.Time             // of the work since the last pause
	total   time.Duration         // of work in the present step
}

// due is a document that waits for a look.
type due struct {
	doc id.Document
	at  time.Time // not before
}

// queued is what came to a document since it waits.
type queued struct {
	rows int64
	last time.Time
}

// NewCompactor returns a compactor, which works while Run does.
func NewCompactor(o Options) *Compactor {
	if o.Share <= 0 || o.Share > 1 {
		o.Share = 0.25
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Hold == nil {
		o.Hold = func() bool { return false }
	}
	if o.Did == nil {
		o.Did = func(Done, time.Duration, error) {}
	}
	return &Compactor{o: o, limits: standard, news: make(chan struct{}, 1), touched: map[id.Document]int64{}, queued: map[id.Document]*queued{},
		unfit: map[id.Document]int64{}, noChunk: map[id.Document]int64{}}
}

// Touched says that a document has so many new rows: a look is taken at it when
// these are as many as it keeps in the journal, and it has been quiet for a moment.
// It is cheap and never blocks.
func (c *Compactor) Touched(doc id.Document, rows int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q := c.queued[doc]; q != nil {
		q.rows += int64(rows)
		q.last = time.Now()
		return
	}
	n, known := c.touched[doc]
	if n += int64(rows); n < c.limits.keep {
		if known || len(c.touched) < maxTouched {
			c.touched[doc] = n
		}
		return
	}
	delete(c.touched, doc)
	c.enqueue(doc, time.Now().Add(c.limits.settle))
}

// Due is how many rows of the journal are to be folded, in the documents that have
// most of them.
func (c *Compactor) Due(ctx context.Context) (rows int64, err error) {
	docs, err := c.o.Store.Foldable(ctx, c.limits.keep+c.limits.run, c.limits.heavyBytes, surveyed)
	for _, d := range docs {
		rows += max(0, d.RawChanges-c.limits.keep)
	}
	return rows, err
}

func (c *Compactor) enqueue(doc id.Document, at time.Time) {
	if c.queued[doc] == nil {
		c.queued[doc] = &queued{}
		c.await(doc, at)
	}
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (c *Compactor) await(doc id.Document, at time.Time) {
	i, _ := slices.BinarySearchFunc(c.due, at, func(d due, at time.Time) int {
		if d.at.After(at) {
			return 1
		}
		return -1
	})
	c.due = slices.Insert(c.due, i, due{doc: doc, at: at})
}

// next returns the document that waits longest, or for how long none is due; 0 if
// none waits. It stays queued until finished is called.
func (c *Compactor) next(now time.Time) (doc id.Document, wait time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.due) > 0 {
		d := c.due[0]
		if wait = d.at.Sub(now); wait > 0 {
			return doc, wait, false
		}
		c.due = c.due[1:]
		if q := c.queued[d.doc]; now.Sub(q.last) < c.limits.settle && q.rows < settleRuns*c.limits.run {
			c.await(d.doc, q.last.Add(c.limits.settle))
			continue
		}
		return d.doc, 0, true
	}
	return doc, 0, false
}

func (c *Compactor) finished(doc id.Document, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.queued, doc)
	if more {
		c.enqueue(doc, time.Time{})
	}
}

// Run folds until ctx ends; that is no error.
func (c *Compactor) Run(ctx context.Context) error {
	survey := time.NewTicker(surveyEvery)
	defer survey.Stop()
	c.survey(ctx)
	for ctx.Err() == nil {
		wait := time.Second
		if !c.o.Hold() {
			var doc id.Document
			var ok bool
			if doc, wait, ok = c.next(time.Now()); ok {
				c.finished(doc, c.document(ctx, doc))
				continue
			}
		}
		var later <-chan time.Time
		if wait > 0 {
			later = time.After(wait)
		}
		select {
		case <-ctx.Done():
		case <-c.news:
		case <-later:
		case <-survey.C:
			c.survey(ctx)
		}
	}
	return nil
}

// survey looks for documents of which much is in the journal.
func (c *Compactor) survey(ctx context.Context) {
	docs, err := c.o.Store.Foldable(ctx, c.limits.keep+c.limits.run, c.limits.heavyBytes, surveyed)
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, storage.ErrClosed) {
			c.o.Log.Warn("documents to fold not found", "err", err)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range docs {
		c.enqueue(d.Doc, time.Time{})
	}
}

// document does one step on a document and reports whether there may be another.
func (c *Compactor) document(ctx context.Context, doc id.Document) (more bool) {
	c.began, c.total = time.Now(), 0
	done, err := c.step(ctx, doc)
	if ctx.Err() != nil || errors.Is(err, storage.ErrClosed) || errors.Is(err, storage.ErrNotFound) {
		return false // the end, or the document was deleted or replaced meanwhile
	}
	if done.Work == Nothing && err == nil {
		return false
	}
	c.rest(ctx)
	c.o.Did(done, c.total, err)
	if err != nil && !errors.Is(err, errUnfit) {
		c.o.Log.Error("history not folded", "doc", doc, "work", string(done.Work), "err", err)
		return false
	}
	if err != nil {
		c.o.Log.Info("a part of a history stays as it is", "doc", doc, "work", string(done.Work), "err", err)
	}
	return err == nil || done.Work != Merge
}

func (c *Compactor) step(ctx context.Context, doc id.Document) (Done, error) {
	w := &worker{store: c.o.Store, doc: doc, pause: func() error { return c.pause(ctx) }}
	w.done.Doc = doc
	d, err := c.o.Store.Document(ctx, doc)
	if err != nil {
		return w.done, err
	}
	l, err := readLayout(ctx, c.o.Store, doc)
	if err != nil {
		return w.done, err
	}
	s := c.limits.plan(d, l, stuck(c.unfit, d), stuck(c.noChunk, d))
	w.done.Work = s.what
	switch s.what {
	case Fold:
		err = w.fold(ctx, s.rows)
	case Merge:
		err = w.merge(ctx, s.replaces)
	case Chunk:
		err = w.chunk(ctx, l, &c.limits)
	}
	if errors.Is(err, errUnfit) {
		failed := c.unfit
		if s.what == Chunk {
			failed = c.noChunk
		}
		if len(failed) >= surveyed {
			clear(failed) // they are tried once more
		}
		failed[doc] = d.Changes
	}
	return w.done, err
}

// stuck reports whether a document could not be folded and has not grown to twice
// its size since.
func stuck(failed map[id.Document]int64, d storage.DocumentInfo) bool {
	had, ok := failed[d.Doc]
	return ok && d.Changes < 2*had
}

// pause sleeps for as long as the share asks, once there was some work.
func (c *Compactor) pause(ctx context.Context) error {
	if time.Since(c.began) < workAtATime {
		return nil
	}
	return c.rest(ctx)
}

func (c *Compactor) rest(ctx context.Context) error {
	worked := time.Since(c.began)
	c.total += worked
	if sleep := time.Duration(float64(worked) * (1/c.o.Share - 1)); sleep > 0 {
		t := time.NewTimer(sleep)
		defer t.Stop()
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
	c.began = time.Now()
	return ctx.Err()
}
