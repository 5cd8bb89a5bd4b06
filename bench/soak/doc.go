// Package soak puts a relay, the real command in a process of its own, where it is to
// stay what it was: beside a reader that has stopped reading, under a crowd of sockets
// that never say who they are, under hours of clients that come and go as they
// please, and on a disk that is full.
//
// The clients are those of package light. What the relay is doing is read where its
// operator reads it, from /metrics and /readyz, and from /proc.
//
// Short forms are part of every test run and check outcomes; they print times and
// memory and ask nothing of them, because other tests share the machine. The full
// forms, by SYNCLINE_FULL=1, check these too.
package soak
