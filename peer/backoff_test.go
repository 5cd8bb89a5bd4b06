package peer

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBackoffDoublesUpToItsMost(t *testing.T) {
	b := Backoff{First: time.Second, Most: 10 * time.Second}
	for i, want := range []time.Duration{1, 2, 4, 8, 10, 10, 10} {
		if got := b.Bound(i + 1); got != want*time.Second {
			t.Errorf("after %d failures %v, want %v", i+1, got, want*time.Second)
		}
	}
	if got := (Backoff{}).Bound(1_000_000); got != time.Minute {
		t.Errorf("the default's most is %v", got)
	}
}

func TestBackoffStaysWithinItsBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Backoff{
			First: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "first")),
			Most:  time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "most")),
		}
		n := rapid.IntRange(1, 100).Draw(t, "failures")
		d := b.Delay(n, rapid.Float64Range(0, 0.999999).Draw(t, "random"))
		if d < 0 || d >= max(b.Bound(n), 1) || b.Bound(n) > b.Bound(n+1) {
			t.Fatalf("delay %v, bounds %v and %v", d, b.Bound(n), b.Bound(n+1))
		}
	})
}

// Peers that lose a relay at the same moment do not come back at the same moment.
func TestBackoffSpreadsPeers(t *testing.T) {
	const peers = 1000
	rng := rand.New(rand.NewPCG(1, 2))
	b := Backoff{}
	perSecond := map[int]int{}
	for range peers {
		at := time.Duration(0)
		for n := 1; at < time.Minute; n++ {
			at += b.Delay(n, rng.Float64())
			if at >= 10*time.Second {
				perSecond[int(at/time.Second)]++
			}
		}
	}
	total, most := 0, 0
	for s, n := range perSecond {
		if s < 60 {
			total += n
			most = max(most, n)
		}
	}
	if mean := total / 50; most > 4*mean {
		t.Errorf("up to %d attempts in a second, %d on average", most, mean)
	}
}
