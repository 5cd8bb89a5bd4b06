// Package valuetest has what tests of values need: the notation that all test vectors
// share, which keeps what JSON would lose in other languages, and random values.
//
// The notation is that of crdt/digest/testdata/README.md, and besides
//
//	{"scalar": "…"}            a string that is replaced as a whole
//	{"unknown": [15, "00ff"]}  a value of a type that no version knows yet: type code, hexadecimal bytes
package valuetest
