package storage

import (
	"syscall"
	"testing"
)

// mountTmpfs puts a disk of its own at dir for the length of the test, or skips
// the test where that is not permitted. It returns what remounts it.
func mountTmpfs(t *testing.T, dir, options string) (remount func(option string)) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("needs to mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return func(option string) {
		flags := uintptr(syscall.MS_REMOUNT)
		if option == "ro" {
			flags |= syscall.MS_RDONLY
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
			t.Fatal(err)
		}
	}
}
