package peer

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/digest"
	"syncline/crdt/id"
	"syncline/crdt/merge"
	"syncline/crdt/schema"
	"syncline/relay/wire"
	"syncline/storage/query"
)

// Options of Open. The zero is usable: a peer that keeps its documents and is
// connected to nobody.
type Options struct {
	// Remotes are relays and listening peers that Run keeps connected to. More
	// can be added with Connect.
	Remotes []Remote

	// Log is told of connections, refusals and failures, never of content. nil:
	// silent.
	Log *slog.Logger
	// Now is the clock: of changes, and of what Status says. nil: time.Now.
	Now func() time.Time
	// Rand gives the numbers in [0, 1) that spread reconnections. nil: random.
	Rand func() float64

	// Schema is what the app's collections hold. Operations that do not fit are refused,
	// the tables that Query reads have its columns, and documents that are edited get its
	// mark. nil: anything may be written, and the tables are those that the store has,
	// or tables of JSON.
	Schema *schema.Schema
	// Functions are the app's merge functions that the schema names.
	Functions *merge.Functions
	// Tables has the tables kept from the start on, and not from the first Query;
	// Schema does so too.
	Tables bool
	// QueryLimits bounds what one statement may take. Its zero has defaults.
	QueryLimits query.Limits

	// Cache bounds the documents that are open in the core. Its zero: 64
	// documents, 256 MiB.
	Cache crdt.CacheOptions
	// MaxIdle is how many documents that nobody uses stay ready to be synced, with
	// the graph of their changes in memory: about 100 bytes for a change. Others
	// are read again when something happens to them. 0: 256.
	MaxIdle int

	// Poll is how often the file is looked at for what other processes have
	// appended. 0: 250 ms.
	Poll time.Duration
	// Backoff spaces the attempts to reach a remote, and to deliver a document.
	Backoff Backoff
	// Network says when there is a way out, and when that changes. nil: the
	// operating system's.
	Network Network
	// NetworkPoll is how often the network is looked at. 0: 2 s.
	NetworkPoll time.Duration
	// DialTimeout bounds a connection and its handshake, on either side. 0: 15 s.
	DialTimeout time.Duration
	// PingInterval is how often each connection is pinged. 0: 5 s.
	PingInterval time.Duration
	// MaxSilence is for how long nothing may be heard of an end that is pinged;
	// then the connection is given up. 0: 30 s: an end that loads a long history
	// answers nothing for ten seconds and more.
	MaxSilence time.Duration
	// WriteTimeout is how long the network may take to accept 64 KiB; past it the
	// connection is closed with wire.CloseSlow. 0: 1 min: behind an end that reads
	// 70 KB/s out of a full buffer of 6 MB, nothing is accepted for 30 s and more.
	WriteTimeout time.Duration
	// CloseTimeout is how long a closing connection may take to send what is
	// queued for it, and Close to wait for the disk. 0: 5 s.
	CloseTimeout time.Duration

	// MaxFrame bounds a frame received, in bytes. 0: wire.MaxFrame.
	MaxFrame int64
	// MaxQueue bounds the bytes queued to be sent on one connection; past it the
	// connection is closed with wire.CloseSlow. 0: 64 MiB.
	MaxQueue int
	// MaxInbox bounds the bytes of messages that wait for one document; past it
	// the connections that bring more are not read from. 0: 64 MiB.
	MaxInbox int64
	// MaxDocuments bounds the documents that one accepted connection may have
	// sessions for; past it the connection is closed with wire.CloseOverLimit.
	// 0: 10,000.
	MaxDocuments int

	// CompareAfter is for how long nothing may have happened to a document that is
	// open before ends with equal heads compare what they read in it. 0: 5 s;
	// negative: never.
	CompareAfter time.Duration

	// onApply is called at each point of the way of others' changes into the core:
	// tests end the process there.
	onApply func(at applyPoint, changes []*chunk.Change)
	// onDigest may alter the digest of the document in memory, in tests.
	onDigest func(digest.Sum) digest.Sum
	// mint is crdt.MintActor, but in tests that make twins.
	mint func(secret []byte, doc id.Document) id.Actor
	// compareEvery and elsewherePatience are the constants of these names, but in tests.
	compareEvery      time.Duration
	elsewherePatience time.Duration
}

// applyPoint is a point on the way of a change into the core.
type applyPoint string

const (
	applyStored applyPoint = "stored" // marked, not begun
	applyBegun  applyPoint = "begun"
	applyDone   applyPoint = "done" // the core has it, and its mark is still there
)

// Remote is a relay, or a peer that listens.
type Remote struct {
	// URL is a ws:// or wss:// address.
	URL string
	// Token is sent as "Authorization: Bearer". Empty: none.
	Token string
	// Peer says that it is a peer that listens, and not a relay: what it has
	// acknowledged counts as Seen.
	Peer bool
	// Documents are those to be synced with this remote. nil: all that the store
	// has, and those it gets.
	Documents []id.Document
}

func (o Options) withDefaults() Options {
	setDefault(&o.MaxIdle, 256)
	setDefault(&o.NetworkPoll, 2*time.Second)
	setDefault(&o.DialTimeout, 15*time.Second)
	setDefault(&o.PingInterval, 5*time.Second)
	setDefault(&o.MaxSilence, 30*time.Second)
	setDefault(&o.WriteTimeout, time.Minute)
	setDefault(&o.CloseTimeout, 5*time.Second)
	setDefault(&o.MaxFrame, wire.MaxFrame)
	setDefault(&o.MaxQueue, 64<<20)
	setDefault(&o.MaxInbox, 64<<20)
	setDefault(&o.MaxDocuments, 10_000)
	setDefault(&o.compareEvery, compareEvery)
	setDefault(&o.elsewherePatience, elsewherePatience)
	o.Backoff = o.Backoff.withDefaults()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Network == nil {
		o.Network = systemNetwork{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.onApply == nil {
		o.onApply = func(applyPoint, []*chunk.Change) {}
	}
	if o.onDigest == nil {
		o.onDigest = func(sum digest.Sum) digest.Sum { return sum }
	}
	if o.CompareAfter == 0 {
		o.CompareAfter = compareAfter
	}
	if o.mint == nil {
		o.mint = crdt.MintActor
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return o
}

func setDefault[T int | int64 | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}
