//go:build linux || darwin

package storage

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// DiskFree returns how many bytes this user may still write to the disk that a
// file or directory is on, and how many it has. Where the system cannot say, the
// error is errors.ErrUnsupported.
func DiskFree(path string) (free, total uint64, err error) {
	var s syscall.Statfs_t
	for {
		err = syscall.Statfs(path, &s)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("find the free space of %s: %w", path, err)
	}
	size := uint64(s.Bsize)
	return s.Bavail * size, s.Blocks * size, nil
}

// syncDirectory has the disk keep the names in a directory.
func syncDirectory(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
