package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"

	"syncline/bench/light"
	"syncline/relay"
	"syncline/storage"
)

// helperEnv makes this program a relay and nothing else. Its value is the file for
// a CPU profile, or "-" for none.
const helperEnv = "SYNCLINE_COMPARE_RELAY"

// startHelper starts our relay as this program, run again. The flags of the command
// have no profile, and a test has no command.
func startHelper(profile string) func(ctx context.Context, dir string) (*light.Server, error) {
	return func(ctx context.Context, dir string) (*light.Server, error) {
		return light.Command{Path: os.Args[0], Env: []string{helperEnv + "=" + profile}}.Start(ctx, dir)
	}
}

// helper is the relay. It ends by a signal, or with the process that started it.
func helper(profile string, args []string) (err error) {
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	listen, data := flags.String("listen", "", ""), flags.String("data", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	go func() {
		untilEnd(os.Stdin)
		stop()
	}()
	if profile != "-" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return fmt.Errorf("profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	store, err := storage.Open(ctx, filepath.Join(*data, "relay.db"), storage.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	r, err := relay.New(relay.Options{Store: store})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	return r.Serve(ctx, l)
}
