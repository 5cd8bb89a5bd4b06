package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/coder/websocket"

	"syncline/bench/light"
	"syncline/crdt/id"
)

// visitor is somebody who comes to the relay again and again, with replicas of all
// documents that stay from visit to visit.
type visitor struct {
	url     string
	author  int
	address string
	docs    []*replica // by the number of the document
	random  *rand.Rand
	count   *atomic.Int64 // connections
}

func newVisitor(url string, author int, docs []id.Document, seed uint64, count *atomic.Int64) *visitor {
	v := &visitor{url: url, author: author, address: fmt.Sprintf("127.0.2.%d", author), random: rand.New(rand.NewPCG(seed, uint64(author))), count: count}
	for _, doc := range docs {
		v.docs = append(v.docs, newReplica(doc, author))
	}
	return v
}

// visit connects in one of many ways.
func (v *visitor) visit(ctx context.Context) error {
	v.count.Add(1)
	r := v.docs[v.random.IntN(len(v.docs))]
	switch n := v.random.IntN(20); {
	case n < 8:
		return v.work(ctx, r, true)
	case n < 11:
		return v.work(ctx, r, false)
	case n < 14:
		return v.vanish(ctx, r)
	case n < 16:
		return v.fetch(ctx, r)
	case n < 17:
		return v.stumble(ctx, halfHTTP)
	case n < 18:
		return v.stumble(ctx, upgraded)
	case n < 19:
		return v.stumble(ctx, halfJoin)
	}
	return v.babble(ctx)
}

func (v *visitor) options() light.ConnOptions {
	return light.ConnOptions{HTTP: httpFrom(v.address, v.random.IntN(3) == 0)}
}

// work edits, before it connects and after, and waits until the relay has it all.
func (v *visitor) work(ctx context.Context, r *replica, resumed bool) error {
	if _, err := v.edit(r); err != nil {
		return err
	}
	ctx, leave, err := connected(ctx, v.url, v.options(), r, resumed)
	if err != nil {
		return err
	}
	defer leave()
	last := 0
	for range 1 + v.random.IntN(3) {
		if last, err = v.edit(r); err != nil {
			return err
		}
	}
	return r.acked(ctx, last)
}

// most is how many changes of one author a document has at most, so that memory is not
// that of longer and longer documents; then it is only visited.
const most = 60

func (v *visitor) edit(r *replica) (int, error) {
	if n := len(r.Own(most)); n >= most {
		return n, nil
	}
	if !r.Empty() && v.random.IntN(4) == 0 { // the first change makes the text
		return r.Record(50+v.random.IntN(2000), v.random.Uint64())
	}
	return r.Letter()
}

// vanish cuts the connection right behind its edits.
func (v *visitor) vanish(ctx context.Context, r *replica) error {
	_, leave, err := connected(ctx, v.url, v.options(), r, true)
	if err != nil {
		return err
	}
	defer leave()
	_, err = v.edit(r)
	return err
}

// fetch reads a document with nothing in hand: everything of ours that was
// acknowledged is there.
func (v *visitor) fetch(ctx context.Context, r *replica) error {
	acked := r.Own(r.Acked())
	if len(acked) == 0 {
		return nil
	}
	fresh := newReplica(r.Document(), v.author+1000)
	ctx, leave, err := connected(ctx, v.url, v.options(), fresh, false)
	if err != nil {
		return err
	}
	defer leave()
	return fresh.has(ctx, acked)
}

// stumble begins to connect and is gone.
func (v *visitor) stumble(ctx context.Context, m manner) error {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(v.address)}}
	to := strings.TrimPrefix(v.url, "ws://")
	c, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(crowdPlan{Address: to, Manner: m}.first()))
	return err
}

// babble says what is not the protocol, after it has joined or before, and is gone.
func (v *visitor) babble(ctx context.Context) error {
	ws, _, err := websocket.Dial(ctx, v.url, &websocket.DialOptions{HTTPClient: v.options().HTTP})
	if err != nil {
		return err
	}
	defer ws.CloseNow()
	if v.random.IntN(2) == 0 {
		return ws.Write(ctx, websocket.MessageText, []byte("hello"))
	}
	w, err := ws.Writer(ctx, websocket.MessageBinary)
	if err != nil {
		return err
	}
	_, err = w.Write(make([]byte, v.random.IntN(5000))) // a message whose end never comes
	return err
}

// settle brings everything that the visitor has to the relay, and waits until it is
// acknowledged.
func (v *visitor) settle(ctx context.Context) error {
	for _, r := range v.docs {
		own := len(r.Own(most + 10))
		if own == 0 {
			continue
		}
		v.count.Add(1)
		ctx, leave, err := connected(ctx, v.url, light.ConnOptions{HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}, r, true)
		if err != nil {
			return err
		}
		err = r.acked(ctx, own)
		leave()
		if err != nil {
			return err
		}
	}
	return nil
}
