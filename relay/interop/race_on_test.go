//go:build race

package interop

// raceDetector says whether these tests, and so the relay they build, run under
// the race detector.
const raceDetector = true
