package wire

import (
	"testing"
	"time"
)

// A wait that is cut to 0 ms would say that there is no need to wait.
func TestAWaitIsRoundedUp(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{
		0: 0, 1: time.Millisecond, time.Millisecond: time.Millisecond, time.Millisecond + 1: 2 * time.Millisecond,
	} {
		b, err := Encode(&Notice{Route: Route{SenderID: "relay", TargetID: "peer"}, Code: NoticeDraining, RetryAfter: wait})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.(*Notice).RetryAfter; got != want {
			t.Errorf("%v arrives as %v, want %v", wait, got, want)
		}
	}
}
