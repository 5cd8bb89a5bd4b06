//go:build !race

package simulation

// raceDetector says that the tests run under the race detector, where everything takes
// many times as long.
const raceDetector = false
