package soak

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"syncline/bench/rig"
)

// crowdEnv makes this program a crowd; its value is the plan.
const crowdEnv = "SYNCLINE_SOAK_CROWD"

// manner is how far the sockets of a crowd go before they say nothing more.
type manner string

const (
	upgraded  manner = "upgraded"     // a WebSocket that never joins
	halfJoin  manner = "half a frame" // … whose first frame is never whole
	halfHTTP  manner = "half a header"
	quietTCP  manner = "silent"
	slowDrips manner = "dripping" // a header that grows by a byte each second
)

// crowdPlan is what a crowd does. Its sockets are spread over so many addresses of
// this machine, from 127.0.1.1 on, because a relay bounds those from one.
type crowdPlan struct {
	Address   string
	Sockets   int
	Addresses int
	Manner    manner
}

// crowdEnd is what became of it.
type crowdEnd struct {
	Opened   int // sockets that were connected at all
	Told     int // … to which the relay said something
	Longest  time.Duration
	Median   time.Duration // from connected to closed
	AllOpen  time.Duration // how long the opening took
	Problems []string      // of the first that were not
}

// crowd is a running one.
type crowd struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   *json.Decoder
}

// start runs the plan in a process of its own.
func (p crowdPlan) start() (*crowd, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	c := &crowd{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), crowdEnv+"="+string(b))
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = json.NewDecoder(stdout)
	return c, c.cmd.Start()
}

// wait returns when the relay has closed all of its sockets.
func (c *crowd) wait() (e crowdEnd, err error) {
	err = c.out.Decode(&e)
	c.stdin.Close()
	if werr := c.cmd.Wait(); err == nil {
		err = werr
	}
	return e, err
}

// first is what the sockets send.
func (p crowdPlan) first() string {
	const whole = "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c29ha2Vyc29ha2Vyc29hag==\r\n\r\n"
	get := "GET / HTTP/1.1\r\nHost: " + p.Address
	switch p.Manner {
	case upgraded:
		return get + whole
	case halfJoin:
		return get + whole + "\x82\xfe\x03\xe8mask0123456789"
	case halfHTTP, slowDrips:
		return get + "\r\nUpgr"
	}
	return ""
}

// openRate is how many sockets are opened in a second.
const openRate = 2000

// run opens the sockets and waits until the other end has closed them, or stdin
// ends.
func (p crowdPlan) run(stdin io.Reader, stdout io.Writer) error {
	if err := raiseFiles(p.Sockets + 100); err != nil {
		return err
	}
	var mu sync.Mutex
	var e crowdEnd
	var lasted []time.Duration
	conns := make(map[net.Conn]struct{})
	gone := false // stdin has ended: open no more
	go func() {
		io.Copy(io.Discard, stdin)
		mu.Lock()
		defer mu.Unlock()
		gone = true
		for c := range conns {
			c.Close()
		}
	}()
	begun := time.Now()
	var all sync.WaitGroup
	turns := make(chan struct{}, 64) // connecting
	for i := range p.Sockets {
		// All at once would measure how fast this machine opens sockets.
		time.Sleep(time.Until(begun.Add(time.Duration(i) * time.Second / openRate)))
		turns <- struct{}{}
		all.Go(func() {
			d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%p.Addresses))}}
			c, err := d.Dial("tcp", p.Address)
			<-turns
			mu.Lock()
			if err != nil || gone {
				if len(e.Problems) < 3 {
					e.Problems = append(e.Problems, fmt.Sprint(err))
				}
				mu.Unlock()
				return
			}
			e.Opened++
			conns[c] = struct{}{}
			e.AllOpen = time.Since(begun)
			mu.Unlock()
			told, took := p.sit(c)
			mu.Lock()
			defer mu.Unlock()
			if told {
				e.Told++
			}
			lasted = append(lasted, took)
			delete(conns, c)
		})
	}
	all.Wait()
	slices.Sort(lasted)
	if n := len(lasted); n > 0 {
		e.Median, e.Longest = rig.Percentile(lasted, 50), lasted[n-1]
	}
	return json.NewEncoder(stdout).Encode(e)
}

// sit waits on one socket until the other end has closed it.
func (p crowdPlan) sit(c net.Conn) (told bool, took time.Duration) {
	defer c.Close()
	begun := time.Now()
	io.WriteString(c, p.first()) // an error shows in the reads
	over := make(chan struct{})
	var drips sync.WaitGroup
	defer drips.Wait()
	defer close(over)
	if p.Manner == slowDrips {
		drips.Go(func() {
			t := time.NewTicker(time.Second)
			defer t.Stop()
			for {
				select {
				case <-t.C:
					io.WriteString(c, "x")
				case <-over:
					return
				}
			}
		})
	}
	n, _ := io.Copy(io.Discard, c)
	return n > 0, time.Since(begun)
}
