package operate

import (
	"cmp"
	"context"
	"time"

	"syncline/crdt/id"
	"syncline/relay/wire/admin"
)

// Source is a relay, as its pages see it. Its methods are called by several
// goroutines, and also before the relay is ready and while it drains.
type Source interface {
	// Ready says in one line for people why the relay is not ready: it is starting,
	// is read-only, drains. It is shown to everybody. nil: it is ready.
	Ready() error
	// Status is how things stand, with at most rows connections and rows rooms:
	// those that CompareConnections and CompareRooms put first. Handler fills Ready
	// and Reason.
	Status(rows int) Status
	// Capabilities are what a client may know beforehand.
	Capabilities() Capabilities

	// Documents lists at most limit documents that follow after, nil: from the first.
	Documents(ctx context.Context, after *id.Document, limit int) (admin.Page, error)
	// Document is one of them, or storage.ErrNotFound.
	Document(ctx context.Context, doc id.Document) (admin.Detail, error)
	// DeleteDocument closes the sessions of a document and deletes it, or says
	// storage.ErrNotFound.
	DeleteDocument(ctx context.Context, doc id.Document) (admin.Deleted, error)
}

// Status is how things stand at a relay. Bytes are bytes, and times are in UTC.
type Status struct {
	Ready   bool      `json:"ready"`
	Reason  string    `json:"reason,omitempty"` // why it is not ready
	Peer    string    `json:"peer"`             // what the relay calls itself
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Now     time.Time `json:"now"`

	Counts     Counts       `json:"counts"`
	Traffic    Traffic      `json:"traffic"`
	Disk       Disk         `json:"disk"`
	Compaction Compaction   `json:"compaction"`
	Limits     Limits       `json:"limits"`
	Refusals   []Refusal    `json:"refusals"`    // recent ones, the newest first
	Conns      []Connection `json:"connections"` // some of Counts.Connections
	Rooms      []Room       `json:"rooms"`       // some of Counts.Awake
}

// Counts are how many of everything there are now.
type Counts struct {
	Connections    int64 `json:"connections"`    // that have joined
	MaxConnections int64 `json:"maxConnections"` // 0: no limit
	Handshakes     int64 `json:"handshakes"`     // connections that have not joined yet
	Accounts       int64 `json:"accounts"`       // with a connection
	Sessions       int64 `json:"sessions"`       // a connection and a document
	Documents      int64 `json:"documents"`      // stored
	Awake          int64 `json:"awake"`          // documents with a session, in memory
	Asleep         int64 `json:"asleep"`         // documents with a session, not in memory
	Graphs         int64 `json:"graphs"`         // hash graphs in memory
	GraphBytes     int64 `json:"graphBytes"`
	QueueBytes     int64 `json:"queueBytes"` // waiting to be written to connections
	Orphans        int64 `json:"orphans"`    // changes that wait for what they depend on
}

// Counts are the gauges of m by their other names.
func (m *Metrics) Counts(maxConnections int) Counts {
	return Counts{
		Connections:    m.Joined.Load(),
		MaxConnections: int64(maxConnections),
		Handshakes:     m.Handshakes.Load(),
		Accounts:       m.Accounts.Load(),
		Sessions:       m.Sessions.Load(),
		Documents:      m.Documents.Load(),
		Awake:          m.Awake.Load(),
		Asleep:         m.Asleep.Load(),
		Graphs:         m.Graphs.Load(),
		GraphBytes:     m.GraphBytes.Load(),
		QueueBytes:     m.QueueBytes.Load(),
		Orphans:        m.Orphans.Load(),
	}
}

// Disk is the room that the store has.
type Disk struct {
	Free     int64 `json:"free"`     // that the relay may yet use
	Size     int64 `json:"size"`     // of the whole disk; 0: not known
	LowWater int64 `json:"lowWater"` // of Free, below which the relay is read-only
	Store    int64 `json:"store"`    // the store's files
	ReadOnly bool  `json:"readOnly"` // nothing can be stored now
}

// Compaction is the folding of journal rows into segments.
type Compaction struct {
	Running   bool      `json:"running"`
	Backlog   int64     `json:"backlog"` // rows that are due
	Rows      int64     `json:"rows"`    // folded since the start
	BytesIn   int64     `json:"bytesIn"`
	BytesOut  int64     `json:"bytesOut"`
	Chunks    int64     `json:"chunks"` // document chunks written
	Segments  int64     `json:"segments"`
	Errors    int64     `json:"errors"`
	LastRun   time.Time `json:"lastRun,omitzero"`    // when the last ended
	LastError string    `json:"lastError,omitempty"` // of the last that failed
}

// Compaction is what the counters of m have of it.
func (m *Metrics) Compaction() Compaction {
	return Compaction{
		Backlog:  m.Backlog.Load(),
		Rows:     m.CompactionRows.Load(),
		BytesIn:  m.CompactionIn.Load(),
		BytesOut: m.CompactionOut.Load(),
		Chunks:   m.DocumentChunks.Load(),
		Segments: m.Segments.Load(),
		Errors:   m.CompactionErrors.Load(),
	}
}

// Connection is one client's.
type Connection struct {
	ID        uint64    `json:"id"`
	Peer      string    `json:"peer"`
	Account   string    `json:"account,omitempty"`
	Address   string    `json:"address"`
	Syncline  int       `json:"syncline"` // its version of the additions; 0: a stock client
	Since     time.Time `json:"since"`
	Documents int       `json:"documents"` // with a session
	BytesIn   int64     `json:"bytesIn"`
	BytesOut  int64     `json:"bytesOut"`
	Queue     int64     `json:"queue"` // bytes that wait to be written to it
}

// CompareConnections puts first what an operator looks for: those with most in their
// queue, then those that sent and received most.
func CompareConnections(a, b Connection) int {
	return cmp.Or(
		cmp.Compare(b.Queue, a.Queue),
		cmp.Compare(b.BytesIn+b.BytesOut, a.BytesIn+a.BytesOut),
		cmp.Compare(a.ID, b.ID),
	)
}

// Room is a document with sessions, in memory.
type Room struct {
	Document   string  `json:"document"` // without automerge:
	Sessions   int     `json:"sessions"`
	Changes    int64   `json:"changes"` // in its history
	GraphBytes int64   `json:"graphBytes"`
	Orphans    int     `json:"orphans"`
	Last60s    float64 `json:"last60s"` // new changes a second
}

// CompareRooms puts the busiest first, then those with most sessions.
func CompareRooms(a, b Room) int {
	return cmp.Or(
		cmp.Compare(b.Last60s, a.Last60s),
		cmp.Compare(b.Sessions, a.Sessions),
		cmp.Compare(b.Changes, a.Changes),
		cmp.Compare(a.Document, b.Document),
	)
}

// Limits are the relay's, by name. The unit is in the name: those in Bytes, those in
// Ms are milliseconds, others are counts.
type Limits map[string]int64

// Capabilities are what a client may know of a relay before it connects. They are
// public.
type Capabilities struct {
	Name     string   `json:"name"`     // of the program: syncline
	Version  string   `json:"version"`  // of the program
	Peer     string   `json:"peer"`     // what the relay calls itself
	Protocol []string `json:"protocol"` // versions of the automerge-repo protocol
	Syncline int      `json:"syncline"` // version of the additions to it
	Sync     []int    `json:"sync"`     // versions of the sync messages
	Chunks   []string `json:"chunks"`   // that it sends: change, deflated, bundle, document
	Auth     Auth     `json:"auth"`
	Features []string `json:"features"` // as ephemeral, remote-heads, notice, token-refresh
	Limits   Limits   `json:"limits"`   // those that a client can keep to
}

// Auth is how a client shows who it is.
type Auth struct {
	Required   bool     `json:"required"`
	Carriers   []string `json:"carriers,omitempty"`   // of tokens: authorization, subprotocol, join
	Algorithms []string `json:"algorithms,omitempty"` // of their signatures
	Audience   string   `json:"audience,omitempty"`   // that they must name
}
