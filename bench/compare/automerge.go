package main

import (
	"context"

	"syncline/bench/light"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// automerge is the automerge-repo protocol, spoken by the clients of package light:
// stock servers are spared what stock clients cost them.
type automerge struct{}

func (automerge) replica(doc id.Document, author int, h hearing) replica {
	return automergeReplica{light.NewReplica(doc, author, light.Hearing{Arrived: h.arrived, Acknowledged: h.acknowledged})}
}

func (automerge) progress(c change) int { return int(c.(*chunk.Change).Seq) }

func (automerge) dial(ctx context.Context, url string, w *world) (client, error) {
	c, err := light.Dial(ctx, url, light.ConnOptions{HTTP: w.http, Ended: w.fail})
	if err != nil {
		return nil, err
	}
	return automergeClient{c}, nil
}

// automergeClient makes a light connection a client of the comparison.
type automergeClient struct{ *light.Conn }

func (c automergeClient) open(r replica) error { return c.Open(r.(automergeReplica).Replica) }
func (c automergeClient) close()               { c.Close() }

// automergeReplica makes a light replica one of the comparison.
type automergeReplica struct{ *light.Replica }

func (r automergeReplica) letter() (int, error)                      { return r.Letter() }
func (r automergeReplica) scatter(n int, seed uint64) (int, error)   { return r.Scatter(n, seed) }
func (r automergeReplica) record(size int, seed uint64) (int, error) { return r.Record(size, seed) }
func (r automergeReplica) put(c change) error                        { return r.Put(c.(*chunk.Change)) }

func (r automergeReplica) history() (all []change) {
	for _, c := range r.History() {
		all = append(all, c)
	}
	return all
}
