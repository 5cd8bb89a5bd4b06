package operate

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is a Rate that keeps every event.
type model []struct {
	second int64
	n      int64
}

func (m model) perSecond(now, window int64) float64 {
	var sum int64
	for _, e := range m {
		if e.second < now && e.second >= now-window {
			sum += e.n
		}
	}
	return float64(sum) / float64(window)
}

func TestRateIsThatOfAModelThatKeepsEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Rate
		var m model
		now := begun
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			// Mostly close together, at times further apart than is remembered.
			now = now.Add(time.Duration(rapid.OneOf(rapid.Int64Range(0, 3000), rapid.Int64Range(0, 200_000)).Draw(t, "ms")) * time.Millisecond)
			n := rapid.Int64Range(0, 1000).Draw(t, "n")
			r.Add(now, n)
			m = append(m, struct{ second, n int64 }{now.Unix(), n})
			asked := now.Add(time.Duration(rapid.Int64Range(0, 5000).Draw(t, "later")) * time.Millisecond)
			window := rapid.Int64Range(1, 60).Draw(t, "window")
			if got, want := r.PerSecond(asked, time.Duration(window)*time.Second), m.perSecond(asked.Unix(), window); got != want {
				t.Fatalf("%v over %d s, not %v", got, window, want)
			}
			now = asked
		}
	})
}

func TestRateOfClocksThatWereSetBack(t *testing.T) {
	var r Rate
	r.Add(begun, 10)
	r.Add(begun.Add(-5*time.Second), 10)
	if got := r.PerSecond(begun.Add(time.Second), time.Second); got != 20 {
		t.Errorf("%v: what was counted while the clock was a little behind is lost", got)
	}
	r.Add(begun.Add(-time.Hour), 7)
	if got := r.PerSecond(begun.Add(-time.Hour+time.Second), 10*time.Second); got != .7 {
		t.Errorf("%v after the clock was set back by an hour", got)
	}
}

func TestRateDoesNotOverflow(t *testing.T) {
	var r Rate
	r.Add(begun, math.MaxUint32)
	r.Add(begun, 5)
	if got := r.LastMinute(begun.Add(time.Second))[59]; got != math.MaxUint32 {
		t.Errorf("%d", got)
	}
	// A long window is cut to what is remembered, and a short one is a second.
	if long, short := r.PerSecond(begun.Add(time.Second), time.Hour), r.PerSecond(begun.Add(time.Second), 0); long*60 != short {
		t.Errorf("%v and %v", long, short)
	}
}

func TestMeterTurnsCountsIntoRates(t *testing.T) {
	m := NewMetrics(MetricsOptions{})
	r := NewMeter(m)
	now := begun
	for range 20 {
		m.ChangesIn.Add(3)
		m.Sockets.BytesOut.Add(100)
		r.Tick(now)
		now = now.Add(time.Second)
	}
	got := r.Traffic(now)
	if f := got.ChangesIn; f.Total != 60 || f.Last10s != 3 || f.Last60s != 1 || f.Seconds[59] != 3 || f.Seconds[39] != 0 {
		t.Errorf("%+v", f)
	}
	if f := got.BytesOut; f.Total != 2000 || f.Last10s != 100 {
		t.Errorf("%+v", f)
	}
	if f := got.ChangesOut; f.Total != 0 || f.Last10s != 0 {
		t.Errorf("%+v", f)
	}
}

func TestTopIsTheBeginningOfWhatIsSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOf(rapid.IntRange(0, 50)).Draw(t, "all")
		n := rapid.IntRange(-1, 20).Draw(t, "n")
		top := NewTop(n, func(a, b int) int { return b - a })
		for _, v := range all {
			top.Offer(v)
		}
		slices.SortFunc(all, func(a, b int) int { return b - a })
		if want := all[:min(max(n, 0), len(all))]; !slices.Equal(top.List(), want) {
			t.Fatalf("%v, not %v", top.List(), want)
		}
	})
}
