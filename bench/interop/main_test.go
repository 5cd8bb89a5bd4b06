package interop

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"syncline/bench/js"
	"syncline/bench/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

const seedEnv = "SYNCLINE_SEED"

// firstSeed returns the seed of the first history, and says how to make it again. But
// in the long forms it is the same each time: a run fails for what was changed, and not
// for what chance has drawn.
func firstSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(1)
	if rig.Full() {
		seed = rand.Uint64() >> 34 // the JavaScript generator takes 32 bits
	}
	if s := os.Getenv(seedEnv); s != "" {
		seed = rig.Get(strconv.ParseUint(s, 10, 32))(t)
	}
	t.Logf("%s=%d", seedEnv, seed)
	return seed
}

// howMany histories are made.
func howMany(some, full int) int {
	if rig.Full() {
		return full
	}
	return some
}

func startAutomerge(ctx context.Context, t *testing.T) *js.Automerge {
	t.Helper()
	js.Require(t)
	a := rig.Get(js.StartAutomerge(ctx))(t)
	t.Cleanup(func() { a.Close() })
	return a
}
