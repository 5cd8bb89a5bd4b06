//go:build !linux && !darwin

package storage

import (
	"errors"
	"fmt"
)

// DiskFree would return the free and all bytes of the disk that a file or
// directory is on.
func DiskFree(path string) (free, total uint64, err error) {
	return 0, 0, fmt.Errorf("find the free space of %s: %w", path, errors.ErrUnsupported)
}

// syncDirectory has nothing to do where directories cannot be synced.
func syncDirectory(string) error { return nil }
