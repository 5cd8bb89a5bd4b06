//go:build !unix

package socket

import "errors"

const canWriteNow = false

func writeNow(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
