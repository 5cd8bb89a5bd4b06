package herd

import (
	"container/heap"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"syncline/peer"
)

// Outage is a relay that is lost by all its peers at once.
type Outage struct {
	Peers int
	// Down is for how long nothing listens there.
	Down time.Duration
	// Backoff is that of the peers. Its zero is what they have.
	Backoff peer.Backoff
	Seed    uint64
}

// Return is how the peers came back, by the second.
type Return struct {
	Refused []int // attempts while the relay was down, from the loss on
	Back    []int // connections, from the relay's return on
}

// Play has the peers come back: each draws its next attempt from what the last came to,
// as a link does.
func (o Outage) Play() Return {
	rng := rand.New(rand.NewPCG(o.Seed, 1))
	lost := &peer.Fault{Class: peer.ClassLost, Err: errors.New("connection lost")}
	refused := &peer.Fault{Class: peer.ClassRefused, Err: errors.New("connection refused")}
	var r Return
	var due attempts
	plan := func(now time.Duration, f *peer.Fault, failures int) {
		delay, _ := o.Backoff.After(f, failures, rng.Float64())
		heap.Push(&due, attempt{now + delay, failures})
	}
	for range o.Peers {
		plan(0, lost, 1)
	}
	for len(due) > 0 {
		a := heap.Pop(&due).(attempt)
		if a.at >= o.Down {
			count(&r.Back, a.at-o.Down)
			continue
		}
		count(&r.Refused, a.at)
		plan(a.at, refused, a.failures+1)
	}
	return r
}

// attempt is when a peer tries, after so many failures in a row.
type attempt struct {
	at       time.Duration
	failures int
}

type attempts []attempt

func (a attempts) Len() int           { return len(a) }
func (a attempts) Less(i, j int) bool { return a[i].at < a[j].at }
func (a attempts) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *attempts) Push(x any)        { *a = append(*a, x.(attempt)) }

func (a *attempts) Pop() any {
	old := *a
	x := old[len(old)-1]
	*a = old[:len(old)-1]
	return x
}

// count adds one to the second that a time lies in.
func count(seconds *[]int, at time.Duration) {
	s := int(at / time.Second)
	for len(*seconds) <= s {
		*seconds = append(*seconds, 0)
	}
	(*seconds)[s]++
}

// Rate is the most in one second, and the mean over all of them.
func Rate(seconds []int) (peak int, mean float64) {
	sum := 0
	for _, n := range seconds {
		peak = max(peak, n)
		sum += n
	}
	return peak, float64(sum) / float64(max(len(seconds), 1))
}

// Histogram writes a line for every few seconds, with at most lines of them.
func Histogram(w io.Writer, seconds []int, lines int) error {
	step := max(1, (len(seconds)+lines-1)/lines)
	peak, _ := Rate(seconds)
	for from := 0; from < len(seconds); from += step {
		part := seconds[from:min(from+step, len(seconds))]
		_, mean := Rate(part)
		bar := strings.Repeat("#", int(mean*40/float64(max(peak, 1))+0.5))
		if _, err := fmt.Fprintf(w, "%4d s %7.1f/s %s\n", from, mean, bar); err != nil {
			return err
		}
	}
	return nil
}
