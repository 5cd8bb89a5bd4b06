//go:build !race

package rig

// raceDetector says whether the processes run under the race detector.
const raceDetector = false
