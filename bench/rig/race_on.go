//go:build race

package rig

// RaceDetector says whether the tests, and the rig's processes with them, run under
// the race detector, which makes them some ten times slower.
const RaceDetector = true
