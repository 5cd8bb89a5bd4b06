package storage

import (
	"context"
	"errors"
	"fmt"
)

// keyStorageID is the key that the store keeps for itself.
const keyStorageID = "storage-id"

// Value returns what is kept under a key; ErrNotFound if nothing is.
func (s *Store) Value(ctx context.Context, key string) ([]byte, error) {
	var value []byte
	if err := s.row(ctx, []any{&value}, `SELECT value FROM meta WHERE key = ?`, key); err != nil {
		return nil, fmt.Errorf("read %q: %w", key, err)
	}
	return value, nil
}

// SetValue keeps a value under a key, in place of one that is there. The
// storage id cannot be set. Durable when it returns; errors as Append's.
func (s *Store) SetValue(ctx context.Context, key string, value []byte) error {
	return s.setValue(ctx, key, value, `INSERT INTO meta (key, value) VALUES (?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`)
}

// InitValue keeps a value under a key unless one is there, and returns the one
// that is then there: for secrets that are made once, whoever comes first.
func (s *Store) InitValue(ctx context.Context, key string, value []byte) ([]byte, error) {
	err := s.setValue(ctx, key, value, `INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING`)
	if err != nil {
		return nil, err
	}
	return s.Value(ctx, key)
}

func (s *Store) setValue(ctx context.Context, key string, value []byte, query string) error {
	err := errors.Join(checkName("key", key), checkBytes("value", value))
	if key == keyStorageID {
		err = fmt.Errorf("%w: the storage id is the store's own", ErrInvalid)
	}
	if err == nil {
		err = s.write(ctx, entryOverhead+int64(len(value)), func(t *tx) error { return t.exec(query, key, blob(value)) })
	}
	if err != nil {
		return fmt.Errorf("set %q: %w", key, err)
	}
	return nil
}
