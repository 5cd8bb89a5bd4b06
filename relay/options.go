package relay

import (
	"log/slog"
	"net/http"
	"time"

	"syncline/crdt/graph"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/storage"
)

// Options of a Relay. Only Store is required. A limit that is 0 has its default;
// one below 0 is none.
type Options struct {
	// Store keeps the changes. It stays the caller's: Close does not close it.
	Store *storage.Store
	// Log is told of connections, refusals and failures. nil: silent.
	Log *slog.Logger
	// Version is that of the program, for metrics and pages.
	Version string
	// Pages serves GET requests that are no WebSocket and none of the relay's own
	// paths. nil: a line at / that says what this is.
	Pages http.Handler

	// Access checks tokens. nil: everybody may do everything. It stays the caller's.
	Access *access.Verifier
	// Audience is what tokens must name, as clients are told beforehand.
	Audience string
	// Origins are those of pages that may connect. The zero: pages of this machine.
	Origins access.Origins
	// Admin says who sees metrics and status and may delete documents. The zero:
	// this machine. Its Verifier is Access unless it is set.
	Admin access.AdminGate

	// PingInterval is how often each connection is pinged. 0: 5 s, as stock
	// servers do.
	PingInterval time.Duration
	// MaxSilence is for how long nothing may be heard of a client that is pinged;
	// then it is dropped. 0: 30 s: a JavaScript client that loads a long history
	// answers nothing for ten seconds and more, and would begin anew if dropped.
	MaxSilence time.Duration
	// HandshakeTimeout is how long a client may take to say join and show its
	// token. 0: 5 s: whoever has not shown who he is holds a socket and no more.
	HandshakeTimeout time.Duration
	// StallTimeout is for how long a client may let what it was sent lie unread: nothing
	// is heard of it, pongs included. Then it is closed with wire.CloseSlow. A client
	// that was sent a message of more than 64 KiB within MaxSilence, a history, and has
	// answered no ping since, has MaxSilence and WriteTimeout instead. 0: 9 s: two pings, nearly.
	StallTimeout time.Duration
	// WriteTimeout is how long the network may take to accept 64 KiB; past it the
	// connection is closed with wire.CloseSlow. 0: 1 min: behind a client that reads
	// 70 KB/s out of a full buffer of 6 MB, nothing is accepted for 30 s and more.
	WriteTimeout time.Duration
	// CloseTimeout is how long a closing connection may take to send what is
	// queued for it, and Close to wait for the disk. 0: 5 s.
	CloseTimeout time.Duration
	// DrainTime is over how long Close spreads the closing of connections, a
	// millisecond each at most, so that they do not all come back at once. 0: at once.
	DrainTime time.Duration

	// MaxFrame bounds a frame received, in bytes; a larger one closes the connection
	// with wire.CloseTooLarge. 0: wire.MaxFrame.
	MaxFrame int64
	// MaxQueue bounds the bytes queued to be sent on one connection; past it
	// the connection is closed with wire.CloseSlow. One message may be larger
	// when nothing else is queued. 0: 64 MiB.
	MaxQueue int
	// MaxInbox bounds the bytes of changes that wait for one room; past it the
	// connections that bring more are not read from. 0: 8 MiB, some 20,000 small
	// changes, which are stored in a second.
	MaxInbox int64
	// MaxOrphanBytes bounds the changes of a document that wait for others they
	// build on; past it the oldest make way and their sender is closed with
	// wire.CloseOverLimit. 0: as package graph has it.
	MaxOrphanBytes int
	// MaxConnections bounds the connections open at a time; one more is told and
	// closed with wire.CloseOverLimit, as by the next three. 0: 10,000.
	MaxConnections int
	// MaxPerAddress bounds those from one address: one machine that misbehaves, or
	// that is broken into, does not take all. Offices and schools share an address,
	// and behind a proxy everybody does. 0: 2,000.
	MaxPerAddress int
	// MaxHandshakes bounds those that have not joined yet. 0: 2,000.
	MaxHandshakes int
	// MaxPerAccount bounds those of one account. 0: 200: a person's devices and
	// pages. Without access control there are no accounts.
	MaxPerAccount int
	// MaxDocuments bounds the documents that one connection may have sessions for;
	// past it the connection is closed with wire.CloseOverLimit. 0: 100,000, some
	// 10 MB while nothing happens in them.
	MaxDocuments int
	// MaxAccountDocuments bounds the same over all connections of an account. 0:
	// 200,000.
	MaxAccountDocuments int
	// ChangesPerSecond and BytesPerSecond are what one connection may bring in the
	// long run, of sync messages; what comes faster waits in the network, and the
	// client with it. Ten seconds' worth may come at once. 0: 50,000 changes and
	// 16 MiB, more than one processor takes in.
	ChangesPerSecond int
	BytesPerSecond   int
	// AccountShare is how many times that all connections of an account may bring
	// together. 0: 4.
	AccountShare int
	// DiskLowWater is how many bytes must be free on the store's disk; below, nothing
	// is stored and those who bring changes are closed with wire.CloseReadOnly. It
	// ends by itself. 0: 64 MiB: the write-ahead log and a compaction fit in it.
	DiskLowWater int64

	// IdleBytes is how much memory documents may take in which nothing happens
	// while connections have them open; past it the quietest are kept as what has
	// to be read again to go on. 0: 4 MiB, some 600 small documents.
	IdleBytes int64
	// CompactionShare is the part of one processor that folds long histories in the
	// background; below 0 none is folded. 0: 0.25.
	CompactionShare float64
}

func (o Options) withDefaults() Options {
	setDefault(&o.PingInterval, 5*time.Second)
	setDefault(&o.MaxSilence, 30*time.Second)
	setDefault(&o.HandshakeTimeout, 5*time.Second)
	setDefault(&o.StallTimeout, 9*time.Second)
	setDefault(&o.WriteTimeout, time.Minute)
	setDefault(&o.CloseTimeout, 5*time.Second)
	setLimit(&o.MaxFrame, wire.MaxFrame)
	setLimit(&o.MaxQueue, 64<<20)
	setLimit(&o.MaxInbox, 8<<20)
	setLimit(&o.MaxOrphanBytes, graph.MaxOrphanBytes)
	setLimit(&o.MaxConnections, 10_000)
	setLimit(&o.MaxPerAddress, 2_000)
	setLimit(&o.MaxHandshakes, 2_000)
	setLimit(&o.MaxPerAccount, 200)
	setLimit(&o.MaxDocuments, 100_000)
	setLimit(&o.MaxAccountDocuments, 200_000)
	setLimit(&o.ChangesPerSecond, 50_000)
	setLimit(&o.BytesPerSecond, 16<<20)
	setLimit(&o.AccountShare, 4)
	if o.DiskLowWater == 0 {
		o.DiskLowWater = 64 << 20
	}
	setDefault(&o.IdleBytes, 4<<20)
	if o.CompactionShare == 0 {
		o.CompactionShare = 0.25
	}
	if o.Admin.Verifier == nil {
		o.Admin.Verifier = o.Access
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Version == "" {
		o.Version = "development"
	}
	return o
}

func setDefault[T int64 | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

// setLimit makes 0 the default, and what is below 0 a limit that nothing reaches.
func setLimit[T int | int64](v *T, value T) {
	switch {
	case *v == 0:
		*v = value
	case *v < 0:
		*v = 1 << 40
	}
}
