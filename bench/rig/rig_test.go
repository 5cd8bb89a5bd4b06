package rig

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/id"
)

func TestMain(m *testing.M) { Main(m) }

func TestPeersInProcessesEditThroughARelay(t *testing.T) {
	relay := StartRelay(t)
	ada, ben := StartPeer(t, PeerOptions{Remotes: []string{relay.URL}}), StartPeer(t, PeerOptions{Remotes: []string{relay.URL}})
	doc := Get(ada.Create())(t)
	OK(t, ben.Fetch(doc))
	typed := Get(ada.Do(doc, [][]crdt.Operation{
		{crdt.Splice(Collection, Entity, Field, 0, 0, "held")},
		{crdt.Splice(Collection, Entity, Field, 1, 1, "el"), crdt.Splice(Collection, Entity, Field, 4, 1, "o")},
	}))(t)
	if typed.Changes != 2 || typed.P99 < typed.P50 || typed.P50 <= 0 {
		t.Errorf("%+v", typed)
	}
	OK(t, ben.WaitHeads(doc, typed.Heads))
	if text := Get(ben.Text(doc))(t); text != "hello" {
		t.Errorf("the other peer reads %q", text)
	}
	if c := Get(relay.Counts())(t); c.ChangesIn != 3 || c.Connections != 2 || c.BytesOut == 0 {
		t.Errorf("the relay counts %+v", c)
	}
	if u := relay.Usage(); u.Resident == 0 || u.Peak < u.Resident {
		t.Errorf("the relay uses %+v", u)
	}
}

func TestAFailedRequestSaysWhy(t *testing.T) {
	p := StartPeer(t, PeerOptions{})
	unknown := id.NewDocument().String()
	if _, err := p.Text(unknown); err == nil || !strings.Contains(err.Error(), "not in this store") {
		t.Errorf("%v", err)
	}
	Get(p.Create())(t) // and the process goes on
}

func TestUsageOfThisProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc")
	}
	before := ownCPU(t)
	u := UsageOf(os.Getpid())
	// /proc counts in ticks, of user and system time each.
	if u.CPU < before-2*clockTick || u.CPU > ownCPU(t)+2*clockTick {
		t.Errorf("%v, but the kernel says %v", u.CPU, before)
	}
	if u.Resident < 1<<20 || u.Peak < u.Resident {
		t.Errorf("%v", u)
	}
}

func ownCPU(t *testing.T) time.Duration {
	t.Helper()
	var r syscall.Rusage
	OK(t, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func TestPercentile(t *testing.T) {
	times := make([]time.Duration, 100)
	for i := range times {
		times[i] = time.Duration(i)
	}
	if a, b, c := Percentile(times, 50), Percentile(times, 99), Percentile(nil, 50); a != 50 || b != 99 || c != 0 {
		t.Error(a, b, c)
	}
}

func TestAReplicaRefusesWhatDoesNotFit(t *testing.T) {
	a, b := NewReplica("a"), NewReplica("b")
	defer a.Close()
	defer b.Close()
	at := time.Unix(0, 0)
	first := Get(a.Do(at, crdt.Create("c", "e", map[string]any{"t": "x"})))(t)
	second := Get(a.Do(at, crdt.Splice("c", "e", "t", 1, 0, "y")))(t)
	if err := b.Take(second.Raw()); err == nil {
		t.Error("a change without its dependency was taken")
	}
	OK(t, b.Take(first.Raw(), second.Raw()))
	OK(t, b.Merge(a))
	if len(b.Changes()) != 2 || len(b.Raw()) != 2 {
		t.Errorf("%d changes", len(b.Changes()))
	}
}
