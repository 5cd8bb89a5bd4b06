package peer_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"syncline/crdt"
	"syncline/peer"
	"syncline/relay"
	"syncline/storage"
)

// A store of one's own: edits are durable when Do returns, and need nobody.
func Example() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "peer-example-")
	defer os.RemoveAll(dir)
	p, err := peer.Open(ctx, filepath.Join(dir, "notes.db"), peer.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	doc, _ := p.Create(ctx)
	doc.Do(ctx, crdt.Create("items", "milk", map[string]any{"text": "Milk", "count": crdt.Counter(1)}))
	receipt, err := doc.Do(ctx,
		crdt.Splice("items", "milk", "text", 0, 0, "Oat "),
		crdt.Increment("items", "milk", "count", 2),
	)
	fmt.Println(receipt.ActorSeq, err)
	json, _ := doc.JSON(ctx)
	fmt.Println(string(json))
	_, err = doc.Do(ctx, crdt.Delete("items", "butter"))
	fmt.Println(err)
	// Output:
	// 2 <nil>
	// {"items":{"milk":{"count":3,"text":"Oat Milk"}}}
	// operation 1 (delete items/butter): items/butter: not found
}

// A shared list on two peers and a relay: each edits while the other is away, and
// neither's edit is lost.
func Example_sharedList() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, _ := os.MkdirTemp("", "peer-example-")
	defer os.RemoveAll(dir)
	url, stop := exampleRelay(ctx, filepath.Join(dir, "relay.db"))
	defer stop()

	open := func(name string) *peer.Peer {
		p, err := peer.Open(ctx, filepath.Join(dir, name), peer.Options{Remotes: []peer.Remote{{URL: url}}})
		if err != nil {
			panic(err)
		}
		return p
	}
	ada, ben := open("ada.db"), open("ben.db")
	defer ada.Close()
	defer ben.Close()

	list, _ := ada.Create(ctx)
	list.Do(ctx, crdt.Create("items", "tent", map[string]any{"text": "Tent", "done": false}))
	ada.Sync(ctx, peer.SyncOptions{})

	// Ben has got the URL from Ada.
	bens, _ := ben.Fetch(ctx, list.ID())
	ben.Sync(ctx, peer.SyncOptions{})

	// Both edit offline, and then go online.
	bens.Do(ctx, crdt.Set("items", "tent", "done", true))
	list.Do(ctx, crdt.Splice("items", "tent", "text", 4, 0, " for two"))
	go ada.Run(ctx)
	go ben.Run(ctx)
	for heads := range bens.Watch(ctx) {
		if len(heads) == 2 { // his edit and hers, neither of which knew of the other
			break
		}
	}
	json, _ := bens.JSON(ctx)
	fmt.Println(string(json))
	// Output:
	// {"items":{"tent":{"done":true,"text":"Tent for two"}}}
}

// exampleRelay serves a relay on a free port of this machine.
func exampleRelay(ctx context.Context, path string) (url string, stop func()) {
	store, err := storage.Open(ctx, path, storage.Options{})
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	r, err := relay.New(relay.Options{Store: store})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, l) }()
	return "ws://" + l.Addr().String(), func() {
		cancel()
		<-done
		store.Close()
	}
}
