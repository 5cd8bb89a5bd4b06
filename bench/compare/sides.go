package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"syncline/bench/js"
	"syncline/bench/light"
)

// side is one server of the comparison.
type side struct {
	name    string
	keeps   bool // on disk, so that it can be started again with what it had
	dialect dialect
	start   func(ctx context.Context, dir string) (*light.Server, error)
}

// ours is the name of the side that the others are compared with.
const ours = "Syncline"

// sides lists them all. startOurs is how our relay is started.
func sides(startOurs func(ctx context.Context, dir string) (*light.Server, error)) []side {
	return []side{
		{ours, true, automerge{}, startOurs},
		{"automerge-repo", true, automerge{}, func(ctx context.Context, dir string) (*light.Server, error) {
			return startNode(ctx, "server.mjs", dir)
		}},
		{"Hocuspocus", false, yjs{multiplexed: true}, func(ctx context.Context, _ string) (*light.Server, error) {
			return startNode(ctx, filepath.Join("compare", "hocuspocus.mjs"))
		}},
		{"y-websocket", false, yjs{}, func(ctx context.Context, _ string) (*light.Server, error) {
			return startNode(ctx, filepath.Join("compare", "ywebsocket.mjs"))
		}},
	}
}

// startGrace is how long a server may take to answer, pollEvery how often it is looked
// at.
const (
	startGrace = time.Minute
	pollEvery  = 10 * time.Millisecond
)

// startNode starts a server in JavaScript with a host, a port and further arguments.
func startNode(ctx context.Context, script string, args ...string) (*light.Server, error) {
	address, err := light.FreeAddress()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	w, err := js.Start(context.WithoutCancel(ctx), script, append([]string{host, port}, args...)...)
	if err != nil {
		return nil, err
	}
	err = light.Listening(ctx, address, func() error { return nil })
	if err != nil {
		w.Kill()
		return nil, fmt.Errorf("start %s: %w; its stderr: %s", script, err, w.Stderr())
	}
	return &light.Server{URL: "ws://" + address, PID: w.Process().Pid, Stop: w.Close, Said: w.Stderr}, nil
}

// untilEnd reads until the other end is gone.
func untilEnd(r io.Reader) { io.Copy(io.Discard, r) }
