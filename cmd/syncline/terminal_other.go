//go:build !linux && !darwin

package main

import "io"

// terminal reports no terminal: how to ask for one is not known here.
func terminal(io.Writer) (columns int, ok bool) { return 0, false }
