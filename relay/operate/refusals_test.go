package operate

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestRefusalsOfOneKindFromOneAddressAreOne(t *testing.T) {
	var r Refusals
	at := func(s int) time.Time { return begun.Add(time.Duration(s) * time.Second) }
	r.Add(Refusal{Time: at(0), Reason: Protocol, Address: "192.0.2.1:100", Text: "first"})
	r.Add(Refusal{Time: at(1), Reason: Expired, Address: "192.0.2.1:101"})
	r.Add(Refusal{Time: at(2), Reason: Protocol, Address: "192.0.2.2:102"})
	r.Add(Refusal{Time: at(3), Reason: Protocol, Address: "192.0.2.1:103", Text: "second", Count: 9})
	got := r.Recent()
	if len(got) != 3 {
		t.Fatalf("%d: %+v", len(got), got)
	}
	if f := got[0]; f.Count != 2 || f.Text != "second" || f.Address != "192.0.2.1" || !f.Time.Equal(at(3)) {
		t.Errorf("the newest is %+v", f)
	}
	if got[1].Address != "192.0.2.2" || got[2].Reason != Expired {
		t.Errorf("%+v", got)
	}
}

func TestRefusalsAreBounded(t *testing.T) {
	var r Refusals
	for i := range 10 * keptRefusals {
		r.Add(Refusal{Address: fmt.Sprintf("192.0.2.%d", i), Text: strings.Repeat("ä", 1<<10), Peer: strings.Repeat("x", 1<<10)})
	}
	got := r.Recent()
	if len(got) != keptRefusals || got[0].Address != "192.0.2.639" || got[keptRefusals-1].Address != "192.0.2.576" {
		t.Fatalf("%d, from %s to %s", len(got), got[0].Address, got[len(got)-1].Address)
	}
	if f := got[0]; len(f.Text) > maxShown+3 || len(f.Peer) > maxShown+3 || !utf8.ValidString(f.Text) {
		t.Errorf("texts of %d and %d bytes", len(f.Text), len(f.Peer))
	}
}
