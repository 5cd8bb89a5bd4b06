package soak

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"syncline/bench/light"
	"syncline/bench/rig"
)

// unnoticed is a delay that nobody who is typing sees, while thousands of sockets are
// opened on the processors that the relay and its clients share.
const unnoticed = interval

// Sockets that do not say who they are are closed when their time is over, and who is
// served does not notice. They come from other addresses than who is served.
func TestSocketsThatDoNotJoin(t *testing.T) {
	beside(t)
	// The relay, too, has a file open for each.
	sockets, d, manners := min(1000, mostFiles()-300), time.Second, []manner{upgraded, halfHTTP}
	if rig.Full() {
		sockets, d, manners = 5000, 5*time.Second, []manner{upgraded, halfJoin, halfHTTP, slowDrips, quietTCP}
	}
	for _, m := range manners {
		t.Run(strings.ReplaceAll(string(m), " ", "-"), func(t *testing.T) {
			beside(t)
			const readers = 20
			ctx := rig.Bounded(t)
			r := startRelay(t, t.TempDir())
			a := gather(t, ctx, r.URL, readers)
			rig.Get(a.talk(readers, 0, d/2, nil))(t)

			describe := func(when string, took time.Duration, said talk, cpu time.Duration) {
				t.Logf("%s: %v; CPU %.1f%%, memory %s, %d files; %s", when, said, 100*cpu.Seconds()/took.Seconds(), rig.MB(r.Usage().Resident), r.openFiles(), rig.Conditions())
			}
			phase := func(when string, done <-chan struct{}) talk {
				begun, cpu := time.Now(), r.Usage().CPU
				said := rig.Get(a.talk(readers, 0, d, done))(t)
				describe(when, time.Since(begun), said, r.Usage().CPU-cpu)
				return said
			}
			before := []talk{phase("before", nil), phase("before", nil)}
			files, was := r.openFiles(), rig.Get(r.metrics(ctx))(t)

			p := crowdPlan{Address: strings.TrimPrefix(r.URL, "ws://"), Sockets: sockets, Addresses: 10, Manner: m}
			c := rig.Get(p.start())(t)
			over := make(chan struct{})
			var end crowdEnd
			var crowdErr error
			go func() {
				defer close(over)
				end, crowdErr = c.wait()
			}()
			// One who comes in the midst of it.
			newcomer := make(chan string, 1)
			go func() {
				light.Pause(ctx, d/2)
				begun := time.Now()
				conn, err := light.Dial(ctx, r.URL, light.ConnOptions{})
				if err != nil {
					newcomer <- fmt.Sprintf("is refused: %v", err)
					return
				}
				conn.Close()
				newcomer <- fmt.Sprintf("has joined after %v", time.Since(begun).Round(time.Millisecond))
			}()
			during := phase("during", over)
			rig.OK(t, crowdErr)
			t.Logf("the crowd: %+v; who came meanwhile %s", end, <-newcomer)
			if end.Opened < sockets {
				t.Errorf("%d of %d sockets were opened: %v", end.Opened, sockets, end.Problems)
			}

			begun := time.Now()
			rig.OK(t, eventually(ctx, "the files of the crowd are closed", func() (bool, error) {
				now, err := r.metrics(ctx)
				return r.openFiles() <= files && now[shakingNow] == 0 && now[goroutines] <= was[goroutines], err
			}))
			t.Logf("files and goroutines are as they were %v after the crowd", time.Since(begun).Round(time.Millisecond))
			phase("after", nil)

			worst := max(before[0].p99, before[1].p99)
			t.Logf("p99 during it is %v; before, %v and %v", during.p99, before[0].p99, before[1].p99)
			if rig.Full() && during.p99 > worst+unnoticed {
				t.Errorf("p99 is %v longer than before", during.p99-worst)
			}
		})
	}
}
