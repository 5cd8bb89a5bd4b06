package soak

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or the crowd that one of them has started.
func TestMain(m *testing.M) {
	if s := os.Getenv(crowdEnv); s != "" {
		var p crowdPlan
		err := json.Unmarshal([]byte(s), &p)
		if err == nil {
			err = p.run(os.Stdin, os.Stdout)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		built.remove()
		os.Exit(code)
	}))
}
