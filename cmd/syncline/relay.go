package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"syncline/relay"
	"syncline/storage"
)

// relayFile is the name of a relay's store in its data directory.
const relayFile = "relay.db"

func relayCommand() *cobra.Command {
	var listen, data string
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "Keep and forward changes between peers",
		Long: "Serve the automerge-repo WebSocket protocol: keep every change of every document\n" +
			"that peers bring, and forward it to the others. Runs until it is interrupted.",
		Example: "  syncline relay --listen 127.0.0.1:3030 --data ./relay-data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logger(cmd, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return failed(runRelay(cmd.Context(), listen, data, log))
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:3030", "address and port to serve on; port 0 takes a free one (SYNCLINE_LISTEN)")
	cmd.Flags().StringVar(&data, "data", "syncline-data", "directory for what the relay keeps; made if it is not there (SYNCLINE_DATA)")
	cmd.AddCommand(relayDocsCommand())
	return cmd
}

// runRelay serves until ctx ends. The store is opened first: a port that answers
// means a relay that works.
func runRelay(ctx context.Context, listen, data string, log *slog.Logger) (err error) {
	store, err := openStore(ctx, data, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return listenError(listen, err)
	}
	r, err := relay.New(relay.Options{Store: store, Log: log})
	if err != nil {
		l.Close()
		return err
	}
	log.Info("relay is listening", "url", "ws://"+l.Addr().String(), "data", store.Path(), "storageId", store.StorageID())
	if err := r.Serve(ctx, l); err != nil {
		return err
	}
	log.Info("relay has stopped")
	return nil
}

// openStore opens or makes the store in a data directory.
func openStore(ctx context.Context, data string, log *slog.Logger) (*storage.Store, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the data directory %s: %w; choose another with --data", data, bare(err))
	}
	path := filepath.Join(data, relayFile)
	store, err := storage.Open(ctx, path, storage.Options{Log: log})
	if err != nil && (errors.Is(err, storage.ErrReadOnly) || !writable(data)) {
		return nil, fmt.Errorf("cannot write in the data directory %s: give this user write access to it and to what is in it, or choose another with --data", data)
	}
	return store, err
}

// writable tries whether a file can be made in a directory. SQLite reports one
// that it cannot make as one that is not there.
func writable(dir string) bool {
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return false
	}
	return errors.Join(f.Close(), os.Remove(f.Name())) == nil
}

// listenError says what to do about a port that cannot be had.
func listenError(listen string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("cannot listen on %s: another program has that port; stop it, or choose another with --listen", listen)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("cannot listen on %s: this user may not use that port; choose one above 1023 with --listen", listen)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("cannot listen on %s: this machine has no such address; choose another with --listen, such as 127.0.0.1:3030", listen)
	}
	return fmt.Errorf("cannot listen on %q: %w; --listen wants an address and a port, such as 127.0.0.1:3030", listen, bare(err))
}

// bare takes what the standard library wraps around an error's cause off it.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", e.Path, e.Err)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}
