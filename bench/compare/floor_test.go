package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"syncline/bench/rig"
)

// floorEnv makes this program the readers of BenchmarkFloor. Its value is the address
// to dial, how many they are, and how many bytes an answer has.
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
	work := full
	if testing.Short() {
		work = tiny
	}
	for name, answered := range map[string]int{"answered": floorAnswered, "unanswered": 0} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				b.ReportMetric(floor(b, work, answered).Seconds(), "cpu-s")
			}
		})
	}
}

func floor(b *testing.B, work sizes, answered int) time.Duration {
	l := rig.Get(net.Listen("tcp", "127.0.0.1:0"))(b)
	defer l.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", floorEnv, l.Addr(), work.readers, answered))
	rig.OK(b, cmd.Start())
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	conns := make([]net.Conn, work.readers)
	ends := make(chan error, work.readers)
	for i := range conns {
		c := rig.Get(l.Accept())(b)
		defer c.Close()
		conns[i] = c
		go func() {
			buffer := make([]byte, 4096)
			for left := work.edits * answered; left > 0; {
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
	tick := time.NewTicker(work.interval)
	defer tick.Stop()
	for range work.edits {
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
func floorReaders(value string) error {
	var address string
	var readers, answered int
	if _, err := fmt.Sscan(value, &address, &readers, &answered); err != nil {
		return err
	}
	ends := make(chan error)
	for range readers {
		go func() { ends <- floorReader(address, answered) }()
	}
	for range readers {
		if err := <-ends; err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

func floorReader(address string, answered int) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	message, answer := make([]byte, floorSent), make([]byte, answered)
	for {
		if _, err := io.ReadFull(c, message); err != nil {
			return err
		}
		if answered == 0 {
			continue
		}
		if _, err := c.Write(answer); err != nil {
			return err
		}
	}
}
