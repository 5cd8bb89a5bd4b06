package storage

import (
	"context"
	"database/sql"
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

// Values calls fn with each key that starts with a prefix, without the prefix, and
// its value, ascending. An error of fn ends the scan and is returned as it is.
func (s *Store) Values(ctx context.Context, prefix string, fn func(rest string, value []byte) error) error {
	type kept struct {
		rest  string
		value []byte
	}
	var all []kept
	err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
		var k kept
		err := r.Scan(&k.rest, &k.value)
		all = append(all, k)
		return true, err
	}, `SELECT substr(key, length(?1) + 1), value FROM meta WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key`, prefix)
	if err != nil {
		return fmt.Errorf("read the values under %q: %w", prefix, err)
	}
	for _, k := range all {
		if err := fn(k.rest, k.value); err != nil {
			return err
		}
	}
	return nil
}

// DeleteValue takes away what is kept under a key, if anything is. Durable when it
// returns; errors as Append's.
func (s *Store) DeleteValue(ctx context.Context, key string) error {
	if key == keyStorageID {
		return fmt.Errorf("delete %q: %w: the storage id is the store's own", key, ErrInvalid)
	}
	err := s.write(ctx, entryOverhead, func(t *tx) error { return t.exec(`DELETE FROM meta WHERE key = ?`, key) })
	if err != nil {
		return fmt.Errorf("delete %q: %w", key, err)
	}
	return nil
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

// SetPassing is SetValue for what is of no more use after a power failure: other
// processes see it when it returns, and it costs no fsync.
func (s *Store) SetPassing(ctx context.Context, key string, value []byte) error {
	err := errors.Join(checkName("key", key), checkBytes("value", value))
	if key == keyStorageID {
		err = fmt.Errorf("%w: the storage id is the store's own", ErrInvalid)
	}
	if err == nil {
		err = s.unsynced(ctx, nil, func(t *tx, _ string) error {
			return t.exec(`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, blob(value))
		})
	}
	if err != nil {
		return fmt.Errorf("set %q: %w", key, err)
	}
	return nil
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
