package peer

import (
	"context"

	"syncline/crdt/id"
	"syncline/storage"
)

// Store is what a peer keeps everything in: a *storage.Store, whose methods these
// are, but in a simulation.
type Store interface {
	// What it is.
	StorageID() string
	Path() string
	LastRow() int64
	Stats() storage.Stats
	Close() error

	// Documents and their changes.
	AddDocument(ctx context.Context, doc id.Document) error
	Document(ctx context.Context, doc id.Document) (storage.DocumentInfo, error)
	KnownDocuments(ctx context.Context, fn func(storage.DocumentInfo) error) error
	Append(ctx context.Context, b storage.Batch) (rows []int64, err error)
	Journal(ctx context.Context, doc id.Document, afterRow int64, fn func(row int64, hash id.Hash, head []byte) error) error
	storage.BodyReader
	Quarantined(ctx context.Context, doc id.Document, fn func(storage.Evidence) error) error

	// The way of others' changes into the core.
	Applying(ctx context.Context, doc id.Document) ([]storage.Mark, error)
	Interrupted(ctx context.Context) ([]storage.Mark, error)
	BeginApplying(ctx context.Context, rows []int64) error
	EndApplying(ctx context.Context, rows []int64) error
	ResetApplying(ctx context.Context, rows []int64) error

	// What others have, and what they do not get.
	SyncState(ctx context.Context, doc id.Document, remote string) ([]byte, error)
	SyncStates(ctx context.Context, doc id.Document, fn func(remote string, state []byte) error) error
	SaveSyncState(ctx context.Context, doc id.Document, remote string, state []byte) error
	Undelivered(ctx context.Context, fn func(storage.Undelivered) error) error
	SetUndelivered(ctx context.Context, doc id.Document, remote string, record []byte) error

	// Records of operations.
	Operation(ctx context.Context, row int64) (storage.Operation, error)
	Operations(ctx context.Context, doc id.Document, after int64, fn func(storage.Operation) error) error

	// The tables that show documents.
	Definition(ctx context.Context) (storage.Definition, error)
	SetTables(ctx context.Context, source []byte, tables []storage.Table) (storage.Definition, error)
	Project(ctx context.Context, applied []int64, ps ...*storage.Projection) error
	Lag(ctx context.Context, doc id.Document) (storage.Lag, error)
	Behind(ctx context.Context, limit int) (generation int64, all []storage.Lag, err error)

	// Values under keys.
	Value(ctx context.Context, key string) ([]byte, error)
	Values(ctx context.Context, prefix string, fn func(rest string, value []byte) error) error
	SetValue(ctx context.Context, key string, value []byte) error
	InitValue(ctx context.Context, key string, value []byte) ([]byte, error)
	SetPassing(ctx context.Context, key string, value []byte) error
	DeleteValue(ctx context.Context, key string) error

	// What other processes append.
	DocumentsBetween(ctx context.Context, after, through int64) ([]id.Document, error)
	Watch(ctx context.Context, after int64, fn func(storage.Arrival) error) error
}
