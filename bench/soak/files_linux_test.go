package soak

import (
	"fmt"
	"math"
	"syscall"
)

// mostFiles is how many files a process of this user may have open.
func mostFiles() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return math.MaxInt32
	}
	return int(min(l.Max, math.MaxInt32))
}

// raiseFiles sees that this process may have so many files open. Go has raised the
// limit as far as this user may already.
func raiseFiles(n int) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	if l.Cur < uint64(n) {
		l.Cur, l.Max = uint64(n), max(l.Max, uint64(n))
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
			return fmt.Errorf("this user may not have %d files open: %w; raise ulimit -n", n, err)
		}
	}
	return nil
}
