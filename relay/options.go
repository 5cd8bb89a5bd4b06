package relay

import (
	"log/slog"
	"time"

	"syncline/relay/wire"
	"syncline/storage"
)

// Options of a Relay. Only Store is required.
type Options struct {
	// Store keeps the changes. It stays the caller's: Close does not close it.
	Store *storage.Store
	// Log is told of connections, refusals and failures. nil: silent.
	Log *slog.Logger

	// PingInterval is how often each connection is pinged. 0: 5 s, as stock
	// servers do.
	PingInterval time.Duration
	// MaxSilence is for how long nothing may be heard of a client that is pinged;
	// then it is dropped. 0: 30 s: a JavaScript client that loads a long history
	// answers nothing for ten seconds and more, and would begin anew if dropped.
	MaxSilence time.Duration
	// HandshakeTimeout is how long a client may take to say join. 0: 30 s.
	HandshakeTimeout time.Duration
	// WriteTimeout is how long the network may take to accept 64 KiB; past it the
	// connection is closed with wire.CloseSlow. 0: 1 min: behind a client that reads
	// 70 KB/s out of a full buffer of 6 MB, nothing is accepted for 30 s and more.
	WriteTimeout time.Duration
	// CloseTimeout is how long a closing connection may take to send what is
	// queued for it, and Close to wait for the disk. 0: 5 s.
	CloseTimeout time.Duration

	// MaxFrame bounds a frame received, in bytes. 0: wire.MaxFrame.
	MaxFrame int64
	// MaxQueue bounds the bytes queued to be sent on one connection; past it
	// the connection is closed with wire.CloseSlow. One message may be larger
	// when nothing else is queued. 0: 64 MiB.
	MaxQueue int
	// MaxInbox bounds the bytes of changes that wait for one room; past it the
	// connections that bring more are not read from. 0: 8 MiB, some 20,000 small
	// changes, which are stored in a second.
	MaxInbox int64
	// IdleBytes is how much memory documents may take in which nothing happens
	// while connections have them open; past it the quietest are kept as what has
	// to be read again to go on. 0: 8 MiB.
	IdleBytes int64
	// CompactionShare is the part of one processor that folds long histories in the
	// background; below 0 none is folded. 0: 0.25.
	CompactionShare float64
	// MaxConnections bounds the connections open at a time. 0: 10,000.
	MaxConnections int
	// MaxDocuments bounds the documents that one connection may have sessions
	// for; past it the connection is closed with wire.CloseOverLimit. 0: 10,000.
	MaxDocuments int
}

func (o Options) withDefaults() Options {
	setDefault(&o.PingInterval, 5*time.Second)
	setDefault(&o.MaxSilence, 30*time.Second)
	setDefault(&o.HandshakeTimeout, 30*time.Second)
	setDefault(&o.WriteTimeout, time.Minute)
	setDefault(&o.CloseTimeout, 5*time.Second)
	setDefault(&o.MaxFrame, wire.MaxFrame)
	setDefault(&o.MaxQueue, 64<<20)
	setDefault(&o.MaxInbox, 8<<20)
	setDefault(&o.IdleBytes, 8<<20)
	setDefault(&o.MaxConnections, 10_000)
	setDefault(&o.MaxDocuments, 10_000)
	if o.CompactionShare == 0 {
		o.CompactionShare = 0.25
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault[T int | int64 | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}
