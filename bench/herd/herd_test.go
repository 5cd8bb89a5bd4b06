package herd

import (
	"strings"
	"testing"
	"time"
)

// outages are how long a relay is away: for a restart, a deployment, a bad night.
var outages = []time.Duration{0, 3 * time.Second, 30 * time.Second, 5 * time.Minute}

func sum(seconds []int) (n int) {
	for _, s := range seconds {
		n += s
	}
	return n
}

// TestAHerdComesBackSpread holds, for each outage, that everybody is back within the
// longest delay, and that no second has more than its share by far: delays are drawn
// evenly, so what a second has is that share and chance.
func TestAHerdComesBackSpread(t *testing.T) {
	for seed := range uint64(20) {
		for _, down := range outages {
			r := Outage{Peers: 1000, Down: down, Seed: seed}.Play()
			if n := sum(r.Back); n != 1000 {
				t.Fatalf("down for %s, seed %d: %d of 1000 came back", down, seed, n)
			}
			if len(r.Back) > 60 {
				t.Errorf("down for %s, seed %d: the last came back after %d s", down, seed, len(r.Back))
			}
			peak, mean := Rate(r.Back)
			if most := 5 * mean; down >= 30*time.Second && float64(peak) > most {
				t.Errorf("down for %s, seed %d: %d in one second, %.1f in the mean", down, seed, peak, mean)
			}
			if down < time.Minute {
				continue
			}
			// While it is down, they ask no more often than when it is back.
			if peak, _ := Rate(r.Refused[120:]); peak > 100 {
				t.Errorf("down for %s, seed %d: %d attempts in one second", down, seed, peak)
			}
		}
	}
}

func TestAHerdIsTheSameForASeed(t *testing.T) {
	a, b := Outage{Peers: 100, Down: time.Minute, Seed: 7}, Outage{Peers: 100, Down: time.Minute, Seed: 8}
	var one, two, other strings.Builder
	Histogram(&one, a.Play().Back, 10)
	Histogram(&two, a.Play().Back, 10)
	Histogram(&other, b.Play().Back, 10)
	if one.String() != two.String() || one.String() == other.String() {
		t.Errorf("twice with one seed:\n%s\n%s\nwith another:\n%s", &one, &two, &other)
	}
}

// BenchmarkHerd prints, with -v, what 1,000 peers do that have lost one relay.
func BenchmarkHerd(b *testing.B) {
	for _, down := range outages {
		b.Run("down="+down.String(), func(b *testing.B) {
			var r Return
			for b.Loop() {
				r = Outage{Peers: 1000, Down: down}.Play()
			}
			peak, mean := Rate(r.Back)
			b.ReportMetric(float64(peak), "peak/s")
			b.ReportMetric(mean, "mean/s")
			b.ReportMetric(float64(peak)/mean, "peak/mean")
			b.ReportMetric(float64(len(r.Back)), "s-to-last")
			b.ReportMetric(float64(sum(r.Refused))/1000, "refused/peer")
			var w strings.Builder
			if err := Histogram(&w, r.Back, 12); err != nil {
				b.Fatal(err)
			}
			b.Logf("connections by the second after its return:\n%s", &w)
		})
	}
}
