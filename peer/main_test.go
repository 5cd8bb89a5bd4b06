package peer

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childMode is the variable that makes this binary a child that a test kills, or
// that ends itself; see child_test.go.
const childMode = "SYNCLINE_TEST_PEER_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		if err := child(mode); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
