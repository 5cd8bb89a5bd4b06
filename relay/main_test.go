package relay

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"syncline/storage"
)

// childData is the variable that makes this binary a relay over that file, so that
// a test can kill a process.
const childData = "SYNCLINE_TEST_RELAY_DATA"

func TestMain(m *testing.M) {
	if path := os.Getenv(childData); path != "" {
		if err := child(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// child serves on a free port, says which on standard output, and ends with a
// signal.
func child(path string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	store, err := storage.Open(ctx, path, storage.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r, err := New(Options{Store: store})
	if err != nil {
		return err
	}
	fmt.Printf("ws://%s\n", l.Addr())
	return r.Serve(ctx, l)
}
