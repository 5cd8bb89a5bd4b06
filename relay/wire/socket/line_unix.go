//go:build unix

package socket

import (
	"errors"
	"syscall"
)

// canWriteNow says that writeNow can.
const canWriteNow = true

// writeNow writes as much to a socket as it takes without waiting.
func writeNow(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return 0, nil
		}
		return max(n, 0), err
	}
}
