package operate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/admin"
	"syncline/storage"
)

// fakeRelay is a Source with one document.
type fakeRelay struct {
	doc      id.Document
	notReady error
	status   Status
	fails    error

	after   *id.Document // of the last Documents
	limit   int
	deleted []id.Document
}

func newFakeRelay() *fakeRelay {
	return &fakeRelay{doc: id.Document{7}, status: busyStatus()}
}

func (f *fakeRelay) Ready() error      { return f.notReady }
func (f *fakeRelay) Status(int) Status { return f.status }

func (f *fakeRelay) Capabilities() Capabilities {
	return Capabilities{
		Name: "syncline", Version: "v1.2.3", Peer: "relay-x", Protocol: []string{wire.Version}, Syncline: wire.Syncline, Sync: []int{1, 2},
		Chunks: []string{"change"}, Auth: Auth{Required: true, Carriers: []string{"join"}}, Features: []string{"ephemeral"}, Limits: Limits{"frameBytes": 64 << 20},
	}
}

func (f *fakeRelay) Documents(_ context.Context, after *id.Document, limit int) (admin.Page, error) {
	f.after, f.limit = after, limit
	return admin.Page{Documents: []admin.Document{{ID: f.doc.String()}}, Next: f.doc.String()}, f.fails
}

func (f *fakeRelay) Document(_ context.Context, doc id.Document) (admin.Detail, error) {
	if doc != f.doc {
		return admin.Detail{}, fmt.Errorf("document %s: %w", doc, storage.ErrNotFound)
	}
	return admin.Detail{Document: admin.Document{ID: doc.String(), Changes: 3}}, f.fails
}

func (f *fakeRelay) DeleteDocument(_ context.Context, doc id.Document) (admin.Deleted, error) {
	if doc != f.doc {
		return admin.Deleted{}, storage.ErrNotFound
	}
	f.deleted = append(f.deleted, doc)
	return admin.Deleted{ID: doc.String(), Changes: 3}, f.fails
}

// begun is when the relay of these tests was started.
var begun = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// busyStatus is that of a relay with something to do.
func busyStatus() Status {
	now := begun.Add(26*time.Hour + 12*time.Minute)
	s := Status{
		Peer: "relay-0b5e7c1a", Version: "v1.4.0", Started: begun, Now: now,
		Counts: Counts{Connections: 1284, MaxConnections: 10_000, Handshakes: 3, Accounts: 412, Sessions: 9120, Documents: 104_233,
			Awake: 211, Asleep: 3102, Graphs: 230, GraphBytes: 48 << 20, QueueBytes: 1_300_000, Orphans: 2},
		Disk: Disk{Free: 41 << 30, Size: 80 << 30, LowWater: 1 << 30, Store: 9_412_000_000},
		Compaction: Compaction{Backlog: 1820, Rows: 4_120_333, BytesIn: 3 << 30, BytesOut: 61 << 20, Chunks: 812, Segments: 9011,
			LastRun: now.Add(-4 * time.Second), Errors: 1, LastError: "compact document 4NMNnkMhL8jXrdJ9jamS58PAVdXu: the disk is full"},
		Limits: Limits{"frameBytes": 64 << 20, "queueBytes": 64 << 20, "connections": 10_000, "connectionsPerAddress": 100,
			"documentsPerConnection": 10_000, "changesPerSecond": 2000, "handshakeMs": 5000, "orphans": 4096},
	}
	for i, f := range []*Flow{&s.Traffic.ChangesIn, &s.Traffic.ChangesOut, &s.Traffic.MessagesIn, &s.Traffic.MessagesOut, &s.Traffic.BytesIn, &s.Traffic.BytesOut} {
		scale := []uint32{120, 3800, 260, 4200, 31_000, 910_000}[i]
		var sum uint32
		for k := range f.Seconds {
			f.Seconds[k] = scale / 2 * uint32(2+(k*k*(i+3)/7)%5) / 3
			if k >= 50 {
				sum += f.Seconds[k]
			}
		}
		f.Last10s, f.Last60s, f.Total = float64(sum)/10, float64(scale), int64(scale)*90_000
	}
	names := []string{"peer-5t2k8x1q", "phone of Ana", "storage-server-eu-1", "d9b1c0d2-11f3-4f6e-9a0a-6a1f3f2b7c55"}
	for i := range 24 {
		c := Connection{ID: uint64(i + 1), Peer: fmt.Sprintf("%s-%d", names[i%4], i), Address: fmt.Sprintf("203.0.113.%d", i+3), Syncline: (i + 1) % 2,
			Since: now.Add(-time.Duration(i*i*197+3) * time.Second), Documents: i * 3, BytesIn: int64(i) * 81_233, BytesOut: int64(i*i) * 720_412, Queue: int64(max(0, 8-i)) * 160_000}
		if i%3 != 0 {
			c.Account = fmt.Sprintf("user-%d@example.org", 100+i)
		}
		s.Conns = append(s.Conns, c)
		s.Rooms = append(s.Rooms, Room{Document: id.Document{byte(i), 3, 4, byte(i * 7)}.String(), Sessions: 40 - i, Changes: int64(260_000 / (i + 1)), GraphBytes: int64(21_000_000 / (i + 1)), Last60s: 12.3 / float64(i+1), Orphans: i % 2})
	}
	var ring Refusals
	for i, r := range []Refusal{
		{Reason: Protocol, Code: wire.CloseProtocol, Text: "this is not the automerge-repo protocol: a text frame; messages are CBOR in binary frames", Address: "198.51.100.7:55123"},
		{Reason: Expired, Code: wire.CloseExpired, Text: "the access token has expired", Address: "203.0.113.12:4022", Peer: "peer-5t2k8x1q"},
		{Reason: Unavailable, Text: "document 4NMNnkMhL8jXrdJ9jamS58PAVdXu is not available", Address: "203.0.113.12:4023", Peer: "phone of Ana"},
		{Reason: OverLimit, Code: wire.CloseOverLimit, Text: "100 connections from this address are open, and no more are taken; close some", Address: "[2001:db8::17]:9921"},
		{Reason: OverLimit, Code: wire.CloseOverLimit, Text: "100 connections from this address are open, and no more are taken; close some", Address: "[2001:db8::17]:9922"},
	} {
		r.Time = now.Add(time.Duration(i-40) * time.Minute)
		ring.Add(r)
	}
	s.Refusals = ring.Recent()
	return s
}

var errFake = errors.New("the disk failed")
