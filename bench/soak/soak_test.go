package soak

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"syncline/bench/light"
	"syncline/bench/rig"
	"syncline/crdt/id"
)

const (
	visitors  = 8
	documents = 40
	shortSoak = 20 * time.Second
	longSoak  = 10 * time.Minute
	// slopeLimit is how much more memory a relay may have after 10,000 connections.
	slopeLimit = 1 << 20
)

// seed is that of SYNCLINE_SEED, or a new one in the long form.
func seed(t *testing.T) uint64 {
	s := uint64(1)
	if rig.Full() {
		s = rand.Uint64()
	}
	if v, err := strconv.ParseUint(os.Getenv("SYNCLINE_SEED"), 10, 64); err == nil {
		s = v
	}
	t.Logf("SYNCLINE_SEED=%d", s)
	return s
}

// Clients come and go in all manners. When they are gone, the relay is as it was, and
// everything that it acknowledged is there.
func TestComingAndGoing(t *testing.T) {
	beside(t)
	d := shortSoak
	switch {
	case testing.Short():
		d = time.Second
	case rig.Full():
		d = longSoak
	}
	ctx := rig.Bounded(t)
	r := startRelay(t, t.TempDir())
	var docs []id.Document
	for range documents {
		docs = append(docs, id.NewDocument())
	}
	var count atomic.Int64
	from := seed(t)
	var all []*visitor
	for i := range visitors {
		all = append(all, newVisitor(r.URL, 1+i, docs, from, &count))
	}

	// What it has open once it has served a few is what it is to come back to: of all
	// manners, however slow the machine is.
	const few = 40
	rig.OK(t, everybody(ctx, all, func(ctx context.Context, v *visitor) error { return v.until(ctx, time.Now().Add(d/20), few) }))
	quiet := func() (goroutinesNow float64, files int) {
		t.Helper()
		var m map[string]float64
		rig.OK(t, eventually(ctx, "everybody has left", func() (ok bool, err error) {
			m, err = r.metrics(ctx)
			return m[joinedNow]+m[shakingNow] == 0, err
		}))
		return m[goroutines], r.openFiles()
	}
	atRest, files := quiet()
	t.Logf("after %d connections: %.0f goroutines, %d files, %v; %s", count.Load(), atRest, files, r.Usage(), rig.Conditions())

	var memory line
	sampling, stop := context.WithCancel(ctx)
	defer stop()
	var sampler sync.WaitGroup
	sampler.Go(func() {
		for begun := time.Now(); light.Pause(sampling, time.Second/2) == nil; {
			if time.Since(begun) > d/4 { // caches are full by then
				memory.add(float64(count.Load()), float64(r.Usage().Resident))
			}
		}
	})
	rig.OK(t, everybody(ctx, all, func(ctx context.Context, v *visitor) error { return v.until(ctx, time.Now().Add(d), 0) }))
	stop()
	sampler.Wait()
	slope := memory.slope() * 10_000
	t.Logf("after %d connections: %v; %.3f MiB more for 10,000 connections; %s", count.Load(), r.Usage(), slope/(1<<20), rig.Conditions())
	if rig.Full() && slope > slopeLimit {
		t.Errorf("memory grows by %.2f MiB in 10,000 connections", slope/(1<<20))
	}

	rig.OK(t, everybody(ctx, all, func(ctx context.Context, v *visitor) error { return v.settle(ctx) }))
	compare(t, ctx, r, all)
	rig.OK(t, eventually(ctx, "goroutines and files are as they were", func() (bool, error) {
		now, open := quiet()
		return now <= atRest && open <= files, nil
	}))
	nowAtRest, nowFiles := quiet()
	t.Logf("after all have left: %.0f goroutines, %d files, %v", nowAtRest, nowFiles, r.Usage())
}

// until visits until it is late, and so often at least.
func (v *visitor) until(ctx context.Context, end time.Time, least int) error {
	for n := 0; n < least || time.Now().Before(end); n++ {
		if err := v.visit(ctx); err != nil {
			return err
		}
	}
	return nil
}

// everybody has all visitors do something at once. The first error ends it.
func everybody(ctx context.Context, all []*visitor, do func(context.Context, *visitor) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var done sync.WaitGroup
	for _, v := range all {
		done.Go(func() {
			if err := do(ctx, v); err != nil {
				fail(err)
			}
		})
	}
	done.Wait()
	return context.Cause(ctx)
}

// compare has two fresh readers fetch every document: they get the same heads, and
// all that the visitors have made, which is all acknowledged.
func compare(t *testing.T, ctx context.Context, r *relayProcess, all []*visitor) {
	t.Helper()
	changes := 0
	for i := range all[0].docs {
		var made []id.Hash
		for _, v := range all {
			made = append(made, v.docs[i].Own(v.docs[i].Acked())...)
		}
		if len(made) == 0 {
			continue
		}
		changes += len(made)
		var heads [2][]id.Hash
		for n := range heads {
			fresh := newReplica(all[0].docs[i].Document(), 2000+n)
			ctx, leave, err := connected(ctx, r.URL, light.ConnOptions{}, fresh, false)
			rig.OK(t, err)
			if err := fresh.has(ctx, made); err != nil {
				t.Errorf("acknowledged and lost: %v", err)
			}
			heads[n] = fresh.Heads()
			leave()
		}
		if a, b := rig.Hex(heads[0]), rig.Hex(heads[1]); len(a) == 0 || !slices.Equal(a, b) {
			t.Errorf("document %d: fresh readers have heads %v and %v", i, a, b)
		}
	}
	t.Logf("%d documents of %d changes are the same at fresh readers", len(all[0].docs), changes)
}
