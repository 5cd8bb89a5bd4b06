//go:build !linux

package soak

import "math"

// mostFiles is not known, and raiseFiles hopes that it is enough.
func mostFiles() int { return math.MaxInt32 }

// raiseFiles does nothing.
func raiseFiles(int) error { return nil }
