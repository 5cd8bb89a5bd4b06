package storage

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// Errors of Open.
var (
	// ErrForeign: the file is not a Syncline store.
	ErrForeign = errors.New("the file belongs to another program; choose another path, it was not touched")
	// ErrNewer: the file was written by a newer Syncline.
	ErrNewer = errors.New("the file was written by a newer version; upgrade this program, the file was not changed")
	// ErrDamaged: SQLite found the file malformed, at Open or later.
	ErrDamaged = errors.New("the file is damaged; restore it from a backup, or move it away and let the other peers fill a new one")
)

// Errors of writing. Nothing of the failed call is stored, and the same call
// may be made again: a change that is already there gives its row.
var (
	// ErrFull: no space is left on the disk, or a quota is reached.
	ErrFull = errors.New("the disk is full; free some space and try again")
	// ErrReadOnly: the file or its directory cannot be written to.
	ErrReadOnly = errors.New("the store is read-only; check the permissions of the file and its directory")
	// ErrIO: the disk reported an error. After a crash that follows, what was
	// being written may yet be found in the journal.
	ErrIO = errors.New("the disk failed; look into the system's log before trusting it further")
	// ErrBusy: another process held the file for longer than Options.Busy.
	ErrBusy = errors.New("another process keeps the file locked; stop it, or try again later")
	// ErrDeleting: the document is being deleted. When that is done it may be
	// made again.
	ErrDeleting = errors.New("the document is being deleted; try again when it is gone")
	// ErrInvalid: an argument is outside what the store keeps.
	ErrInvalid = errors.New("not storable")
)

// Errors of any call.
var (
	// ErrClosed: the Store was closed.
	ErrClosed = errors.New("the store is closed")
	// ErrNotFound: a row, segment or key that was asked for is not there.
	ErrNotFound = errors.New("not in the store")
)

// classify puts the sentinel that callers branch on in front of an error of
// the driver. Other errors pass through.
func classify(err error) error {
	if err == nil {
		return nil // before e, which is allocated
	}
	var e sqlite3.Error
	if !errors.As(err, &e) || classified(err) {
		return err
	}
	switch e.Code {
	case sqlite3.ErrFull:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case sqlite3.ErrReadonly, sqlite3.ErrPerm:
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrProtocol:
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case sqlite3.ErrCorrupt:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case sqlite3.ErrNotADB, sqlite3.ErrFormat:
		return fmt.Errorf("%w: %w", ErrForeign, err)
	case sqlite3.ErrIoErr, sqlite3.ErrCantOpen, sqlite3.ErrNomem:
		switch e.SystemErrno {
		case syscall.ENOSPC, syscall.EDQUOT:
			return fmt.Errorf("%w: %w", ErrFull, err)
		case syscall.EROFS, syscall.EACCES, syscall.EPERM, syscall.EBADF:
			// EBADF: SQLite opened for reading what it could not open for
			// writing, and then could not lock it.
			return fmt.Errorf("%w: %w", ErrReadOnly, err)
		}
		return fmt.Errorf("%w: %w", ErrIO, err)
	case sqlite3.ErrInterrupt:
		return fmt.Errorf("%w: %w", context.Canceled, err)
	}
	return err
}

// classified reports whether classify has seen an error before.
func classified(err error) bool {
	for _, class := range []error{ErrFull, ErrReadOnly, ErrBusy, ErrDamaged, ErrForeign, ErrIO, context.Canceled} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// failsGroup says whether an error inside one batch is about the file rather
// than the batch, so that the transaction cannot be saved.
func failsGroup(err error) bool {
	for _, kind := range []error{ErrFull, ErrReadOnly, ErrIO, ErrBusy, ErrDamaged, ErrForeign} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
