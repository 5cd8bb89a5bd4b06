//go:build !unix

package js

import "context"

// lockFile does nothing where there is no flock: two installations at the same
// moment are then the caller's to avoid.
func lockFile(context.Context, string) (unlock func(), err error) {
	return func() {}, nil
}
