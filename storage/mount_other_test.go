//go:build !linux

package storage

import "testing"

func mountTmpfs(t *testing.T, dir, options string) (remount func(option string)) {
	t.Skip("needs to mount a small disk")
	return nil
}
