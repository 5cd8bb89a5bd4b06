package peer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/wire"
	"syncline/storage"
)

// network is peers and relays with real sockets and stores, and a tap on each link
// that counts the changes which go over it.
type network struct {
	t     *testing.T
	nodes []*node
	links []*tapped
	doc   id.Document
	notes int

	crossed, again int // changes over links, and those of them that were there
}

// node is a peer that listens, or a relay.
type node struct {
	name  string
	relay bool
	path  string

	p    *Peer
	d    *Document
	srv  *server
	stop func()
}

// tapped is a link that the first node keeps dialled to the second, across as many
// connections as that takes.
type tapped struct {
	n        *network
	from, to *node
	x        *proxy

	mu    sync.Mutex
	total map[id.Hash]int // how many times a change went over the link, either way
	again int             // changes that went where they were, because that end had asked
	wrong []string
}

// crossing is a change that went over a link.
type crossing struct {
	hash    id.Hash
	forward bool // from who dials
}

// topology is names of nodes ("relay…" is one), and who dials whom.
type topology struct {
	nodes  []string
	links  [][2]int
	cyclic bool // a change may come to both ends of a link at once
}

var topologies = map[string]topology{
	"chain of 4":                        {[]string{"a", "b", "c", "d"}, [][2]int{{0, 1}, {1, 2}, {3, 2}}, false},
	"ring of 4":                         {[]string{"a", "b", "c", "d"}, [][2]int{{0, 1}, {1, 2}, {2, 3}, {3, 0}}, true},
	"mesh of 3":                         {[]string{"a", "b", "c"}, [][2]int{{0, 1}, {1, 2}, {0, 2}}, true},
	"each dials the other":              {[]string{"a", "b"}, [][2]int{{0, 1}, {1, 0}}, false},
	"relays joined by a peer":           {[]string{"a", "relay1", "bridge", "relay2", "b"}, [][2]int{{0, 1}, {2, 1}, {2, 3}, {4, 3}}, false},
	"relays joined by two":              {[]string{"a", "relay1", "bridge1", "bridge2", "relay2", "b"}, [][2]int{{0, 1}, {2, 1}, {3, 1}, {2, 4}, {3, 4}, {5, 4}}, true},
	"a peer between a relay and a peer": {[]string{"relay", "a", "b"}, [][2]int{{1, 0}, {2, 1}}, false},
}

func build(t *testing.T, top topology) *network {
	n := &network{t: t, doc: id.NewDocument()}
	for _, name := range top.nodes {
		n.nodes = append(n.nodes, &node{name: name, relay: len(name) > 5 && name[:5] == "relay" || name == "relay", path: filepath.Join(t.TempDir(), name+".db")})
	}
	for _, l := range top.links {
		k := &tapped{from: n.nodes[l[0]], to: n.nodes[l[1]], n: n, x: startProxy(t, ""), total: map[id.Hash]int{}}
		k.x.opened = k.opened
		n.links = append(n.links, k)
	}
	for _, o := range n.nodes {
		n.start(o)
	}
	return n
}

// opened notes what both ends have when a connection begins, and counts what goes over
// it.
func (k *tapped) opened() tapping {
	had := [2]map[id.Hash]bool{k.from.stored(k.n.doc), k.to.stored(k.n.doc)}
	here := map[crossing]bool{}
	// What an end asks for by hash, as it does when it hears of new heads or a filter
	// hid a change from it, may be on its way to it at that moment. It is sent all the
	// same, with what lies below it: the other end cannot tell what arrives.
	asked := map[bool]bool{} // by direction
	return func(toServer bool, m wire.Message) {
		s, ok := m.(*wire.Sync)
		if !ok {
			return
		}
		msg, err := session.Decode(s.Data)
		if err != nil {
			return
		}
		changes, err := msg.Changes()
		if err != nil {
			return
		}
		to, has := k.from, had[0]
		if toServer {
			to, has = k.to, had[1]
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(msg.Need) > 0 {
			asked[!toServer] = true
		}
		for _, c := range changes {
			k.total[c.Hash]++
			over := crossing{c.Hash, toServer}
			switch {
			case asked[toServer]:
				if here[over] || has[c.Hash] {
					k.again++
				}
			case here[over]:
				k.wrong = append(k.wrong, fmt.Sprintf("%s went to %s twice on one connection", c.Hash, to.name))
			case has[c.Hash]:
				k.wrong = append(k.wrong, fmt.Sprintf("%s went to %s, which had it before the connection", c.Hash, to.name))
			}
			here[over] = true
		}
	}
}

// stored lists what a node's file has of a document. It reads it by itself: the node
// may be closing.
func (o *node) stored(doc id.Document) map[id.Hash]bool {
	had := map[id.Hash]bool{}
	store, err := storage.Open(context.Background(), o.path, storage.Options{})
	if err != nil {
		return had
	}
	defer store.Close()
	store.Entries(context.Background(), doc, 0, func(_ int64, e storage.Entry) error { had[e.Hash] = true; return nil })
	return had
}

// start opens a node on its file, and lets the others reach it.
func (n *network) start(o *node) {
	n.t.Helper()
	var url string
	if o.relay {
		o.srv = serveRelayOn(n.t, o.path, ownAddress())
		o.stop, url = o.srv.stop, o.srv.url
	} else {
		opts := testOptions()
		for _, k := range n.links {
			if k.from == o {
				opts.Remotes = append(opts.Remotes, Remote{URL: k.x.url, Peer: !k.to.relay})
			}
		}
		p, err := Open(bounded(n.t), o.path, opts)
		if err != nil {
			n.t.Fatal(err)
		}
		o.p, o.d = p, fetch(n.t, p, n.doc)
		url = listen(n.t, p, ListenOptions{}).URL()
		stop := run(n.t, p)
		o.stop = sync.OnceFunc(func() {
			stop()
			if err := p.Close(); err != nil {
				n.t.Errorf("close %s: %v", o.name, err)
			}
		})
		n.t.Cleanup(o.stop)
	}
	for _, k := range n.links {
		if k.to == o {
			k.x.lead(url)
		}
	}
}

func (n *network) restart(o *node) {
	o.stop()
	n.start(o)
}

// peers are the nodes that edit.
func (n *network) peers() (list []*node) {
	for _, o := range n.nodes {
		if !o.relay {
			list = append(list, o)
		}
	}
	return list
}

func (n *network) edit(o *node) {
	n.t.Helper()
	n.notes++
	do(n.t, o.d, note(name(n.notes)))
}

// converge waits until all peers have all that was done.
func (n *network) converge() {
	n.t.Helper()
	var docs []*Document
	for _, o := range n.peers() {
		docs = append(docs, o.d)
	}
	until(n.t, "all have everything", docs, func() bool {
		for _, d := range docs {
			if !slices.Equal(headsOf(n.t, d), headsOf(n.t, docs[0])) || collectionLen(n.t, d, "notes") != n.notes {
				return false
			}
		}
		return true
	})
	converge(n.t, docs...)
}

// rest waits until every two ends that are connected have told each other that they
// have the same.
func (n *network) rest() {
	n.t.Helper()
	n.converge()
	var docs []*Document
	for _, o := range n.peers() {
		docs = append(docs, o.d)
	}
	until(n.t, "all links are at rest", docs, func() bool {
		up := 0
		for _, o := range n.peers() {
			for _, c := range o.p.connections() {
				if c.standings([]id.Document{n.doc})[0].now != standingSynced {
					return false
				}
				up++
			}
		}
		for _, k := range n.links { // a peer at each end has each connection
			if up--; !k.to.relay {
				up--
			}
		}
		return up == 0
	})
}

// steady has every peer edit once while all is at rest: each change goes once over
// each link; on a ring it may come to both ends at once, which then tell each other.
// Two links between the same peers are one.
func (n *network) steady(cyclic bool) {
	n.t.Helper()
	most := 1
	if cyclic {
		most = 2
	}
	for _, o := range n.peers() {
		n.rest()
		n.edit(o)
		last := headsOf(n.t, o.d)[0]
		n.rest()
		between := map[[2]string]int{}
		for _, k := range n.links {
			ends := []string{k.from.name, k.to.name}
			slices.Sort(ends)
			k.mu.Lock()
			between[[2]string(ends)] += k.total[last]
			k.mu.Unlock()
		}
		for ends, times := range between {
			if times > most {
				n.t.Errorf("what %s did went %d times between %s and %s", o.name, times, ends[0], ends[1])
			}
		}
	}
}

// check fails if a change went over a link to an end that had it.
func (n *network) check() {
	n.t.Helper()
	for _, k := range n.links {
		k.mu.Lock()
		n.again += k.again
		for _, h := range k.total {
			n.crossed += h
		}
		for _, w := range k.wrong {
			n.t.Errorf("between %s and %s: %s", k.from.name, k.to.name, w)
		}
		k.mu.Unlock()
	}
}

// TestTopologiesConverge has every peer edit, alone and at once with others, while
// links break and nodes start again. In the end all have the same, and no change went
// over a link to an end that had it.
func TestTopologiesConverge(t *testing.T) {
	for name, top := range topologies {
		t.Run(name, func(t *testing.T) {
			crossed, again := 0, 0
			for seed := range topologySeeds() {
				n := build(t, top)
				rng := rand.New(rand.NewPCG(seed, 1))
				n.edit(n.peers()[0])
				n.steady(top.cyclic)
				for range 20 {
					switch k := rng.IntN(20); {
					case k < 14:
						peers := n.peers()
						n.edit(peers[rng.IntN(len(peers))])
					case k < 16:
						n.links[rng.IntN(len(n.links))].x.cut()
					case k < 18:
						n.restart(n.nodes[rng.IntN(len(n.nodes))])
					default:
						n.converge()
					}
				}
				n.steady(top.cyclic)
				n.check()
				crossed, again = crossed+n.crossed, again+n.again
				if t.Failed() {
					t.Fatalf("with seed %d", seed)
				}
				n.stop()
			}
			t.Logf("%d times a change went over a link, %d of them to an end that had it and had asked while it came", crossed, again)
		})
	}
}

// topologySeeds is how many seeds each is tried with.
func topologySeeds() uint64 {
	if os.Getenv("SYNCLINE_FULL") != "" {
		return 30
	}
	return 1
}

// stop ends all nodes.
func (n *network) stop() {
	for _, o := range n.nodes {
		o.stop()
	}
}
