// Package dirty tells which entities of a document changes have touched, from
// their decoded operations alone: what a projection has to read anew, and what
// two points of a history can differ in.
//
// An operation names the object that it works on by the operation that made it,
// so an Index of these is kept, and fed with every change of the document before
// what builds on it. Changes have passed package chunk when they come here. The
// package knows no core, does no I/O and starts no goroutine.
package dirty
