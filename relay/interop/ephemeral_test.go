package interop

import (
	"fmt"
	"slices"
	"testing"

	"syncline/bench/js"
)

// Three clients broadcast; each must get every message of the two others once, in
// the author's order, and none of its own. Stock clients drop duplicates before
// the application sees them, so what came over the wire is looked at. Each
// client's last message closes a round: what the relay would have sent twice, or
// back to its author, lies before the last message of a second round.
func TestEphemeralMessagesReachEachOtherClientOnce(t *testing.T) {
	const messages, rounds = 20, 2
	w := newWorld(t, true)
	clients := []*js.Client{w.client("alice"), w.client("bob"), w.client("carol")}
	made := get(clients[0].Create(w.ctx, js.Set(js.At("here"), true)))(t)
	w.ok(clients[0].WaitAcknowledged(w.ctx, made.Doc, nil))
	for _, c := range clients[1:] {
		get(c.Find(w.ctx, made.Doc))(t)
		// The relay's answer to this client's heads shows that it knows the
		// client has the document open.
		w.ok(c.WaitAcknowledged(w.ctx, made.Doc, made.Heads))
	}

	for round := 1; round <= rounds; round++ {
		for i := range messages {
			for _, c := range clients {
				w.ok(c.Broadcast(w.ctx, made.Doc, map[string]any{"from": c.PeerID, "n": (round-1)*messages + i}))
			}
		}
		for _, c := range clients {
			get(c.WaitEphemeral(w.ctx, made.Doc, round*messages*(len(clients)-1)))(t)
		}
	}

	for _, c := range clients {
		e := get(c.WaitEphemeral(w.ctx, made.Doc, 0))(t)
		seen := map[string][]string{}
		for _, m := range e.Received {
			seen[m.SenderID] = append(seen[m.SenderID], string(m.Message))
		}
		counts := map[string]map[uint64]int{}
		for _, m := range e.OnWire {
			if counts[m.SenderID] == nil {
				counts[m.SenderID] = map[uint64]int{}
			}
			counts[m.SenderID][m.Count]++
			if n := counts[m.SenderID][m.Count]; n > 1 {
				t.Errorf("%s was sent message %d of %s %d times", c.PeerID, m.Count, m.SenderID, n)
			}
		}
		if n := len(counts[c.PeerID]); n > 0 {
			t.Errorf("%s was sent %d of its own messages", c.PeerID, n)
		}
		for _, author := range clients {
			if author == c {
				continue
			}
			var want []string
			for n := range rounds * messages {
				want = append(want, fmt.Sprintf(`{"from":%q,"n":%d}`, author.PeerID, n))
			}
			if !slices.Equal(seen[author.PeerID], want) {
				t.Errorf("%s saw of %s: %v", c.PeerID, author.PeerID, seen[author.PeerID])
			}
		}
	}
}
