// Package crdttest plays random concurrent histories over one document with every merge
// rule: peers edit, and hear of each other in orders that chance has made. It is for the
// tests of package crdt and of what stands above it; nothing else imports it.
package crdttest
