package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"syncline/bench/rig"
)

// floorEnv makes this program the readers of BenchmarkFloor. Its value is the address
// to dial.
const floorEnv = "SYNCLINE_COMPARE_FLOOR"

// Sizes of the fan-out's messages, as they are on our relay: a change of a letter to a
// reader, and its answer.
const (
	floorSent     = 354
	floorAnswered = 170
)

// BenchmarkFloor is the fan-out with nothing but its system calls: the same messages
// over the same number of sockets, neither framed nor read, and the answers, which
// readers of automerge-repo's protocol give to each and those of Yjs do not. It tells
// the CPU seconds of the writing process.
func BenchmarkFloor(b *testing.B) {
	for name, answered := range map[string]int{"answered": floorAnswered, "unanswered": 0} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				b.ReportMetric(floor(b, full.readers, full.edits, answered).Seconds(), "cpu-s")
			}
		})
	}
}

func floor(b *testing.B, readers, edits, answered int) time.Duration {
	l := rig.Get(net.Listen("tcp", "127.0.0.1:0"))(b)
	defer l.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), floorEnv+"="+l.Addr().String())
	if answered == 0 {
		cmd.Env = append(cmd.Env, floorEnv+"_SILENT=1")
	}
	rig.OK(b, cmd.Start())
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	conns := make([]net.Conn, readers)
	ends := make(chan error, readers)
	for i := range conns {
		c := rig.Get(l.Accept())(b)
		defer c.Close()
		conns[i] = c
		go func() {
			buffer := make([]byte, 4096)
			for left := edits * answered; left > 0; {
				n, err := c.Read(buffer)
				if left -= n; err != nil {
					ends <- err
					return
				}
			}
			ends <- nil
		}()
	}
	message := make([]byte, floorSent)
	before := rig.UsageOf(os.Getpid()).CPU
	tick := time.NewTicker(full.interval)
	defer tick.Stop()
	for range edits {
		for _, c := range conns {
			rig.Get(c.Write(message))(b)
		}
		<-tick.C
	}
	for range conns {
		rig.OK(b, <-ends)
	}
	return rig.UsageOf(os.Getpid()).CPU - before
}

// floorReaders read until the other end has gone, and answer.
func floorReaders(address string, readers int, silent bool) {
	ends := make(chan struct{})
	for range readers {
		go func() {
			defer func() { ends <- struct{}{} }()
			c, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer c.Close()
			message, answer := make([]byte, floorSent), make([]byte, floorAnswered)
			for {
				if _, err := io.ReadFull(c, message); err != nil {
					return
				}
				if silent {
					continue
				}
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}()
	}
	for range readers {
		<-ends
	}
}
