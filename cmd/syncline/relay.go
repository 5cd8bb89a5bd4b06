package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"syncline/crdt/graph"
	"syncline/peer/browser"
	"syncline/relay"
	"syncline/relay/operate"
	"syncline/relay/wire/access"
	"syncline/storage"
)

// relayFile is the name of a relay's store in its data directory.
const relayFile = "relay.db"

// gcPercent has the collector run more often than it would: what a relay keeps is
// small beside what passes through it, and flat memory is worth a few percent of a
// processor. Between 50 and 100 lie 4 MB of the 46 that ten thousand documents take,
// and 8% of the processor time of acknowledgements.
const gcPercent = 66

// relayFlags are what the relay is told on the command line.
type relayFlags struct {
	listen, data   string
	access         accessFlags
	tls            tlsFlags
	adminTokenOnly bool
	page           bool
	o              relay.Options
}

func relayCommand() *cobra.Command {
	var f relayFlags
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "Keep and forward changes between peers",
		Long: "Serve the automerge-repo WebSocket protocol: keep every change of every document\n" +
			"that peers bring, and forward it to the others. Runs until it is interrupted.\n\n" +
			"On an address that others reach, clients need access tokens (syncline token),\n" +
			"unless --open-access says that everybody may read and write everything.\n\n" +
			"Its own pages: /status, /metrics and /admin for this machine or a token with\n" +
			"the admin claim; /healthz, /readyz and " + operate.CapabilitiesPath + " for all.\n" +
			"A limit of -1 is none.",
		Example: "  syncline relay --listen 127.0.0.1:3030 --data ./relay-data\n" +
			"  syncline relay --listen :3030 --access-keys keys.jwks --audience my-app \\\n" +
			"      --tls-cert chain.pem --tls-key key.pem",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logger(cmd, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if f.o.Origins, err = access.NewOrigins(f.access.origins); err != nil {
				return err
			}
			return failed(f.run(cmd.Context(), log))
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.listen, "listen", "127.0.0.1:3030", "address and port to serve on; port 0 takes a free one (SYNCLINE_LISTEN)")
	fl.StringVar(&f.data, "data", "syncline-data", "directory for what the relay keeps; made if it is not there (SYNCLINE_DATA)")
	f.access.add(fl)
	f.tls.add(fl)
	fl.BoolVar(&f.page, "page", true, "serve the demo page to browsers at /; its files hold no data (SYNCLINE_PAGE)")
	fl.BoolVar(&f.adminTokenOnly, "admin-token-only", false, "ask for a token on the admin pages from this machine too, as behind a proxy (SYNCLINE_ADMIN_TOKEN_ONLY)")
	fl.Int64Var(&f.o.MaxFrame, "max-frame", 64<<20, "bytes of the largest message taken (SYNCLINE_MAX_FRAME)")
	fl.IntVar(&f.o.MaxQueue, "max-queue", 64<<20, "bytes that may wait for a slow reader before it is closed (SYNCLINE_MAX_QUEUE)")
	fl.IntVar(&f.o.MaxConnections, "max-connections", 10_000, "connections at a time (SYNCLINE_MAX_CONNECTIONS)")
	fl.IntVar(&f.o.MaxPerAddress, "max-per-address", 2_000, "connections from one address; -1 behind a proxy (SYNCLINE_MAX_PER_ADDRESS)")
	fl.IntVar(&f.o.MaxPerAccount, "max-per-account", 200, "connections of one account (SYNCLINE_MAX_PER_ACCOUNT)")
	fl.IntVar(&f.o.MaxHandshakes, "max-handshakes", 2_000, "connections that have not joined yet (SYNCLINE_MAX_HANDSHAKES)")
	fl.IntVar(&f.o.MaxDocuments, "max-documents", 100_000, "documents open on one connection (SYNCLINE_MAX_DOCUMENTS)")
	fl.IntVar(&f.o.MaxAccountDocuments, "max-account-documents", 200_000, "documents open on all connections of an account (SYNCLINE_MAX_ACCOUNT_DOCUMENTS)")
	fl.IntVar(&f.o.ChangesPerSecond, "changes-per-second", 50_000, "changes that one connection may bring in the long run (SYNCLINE_CHANGES_PER_SECOND)")
	fl.IntVar(&f.o.BytesPerSecond, "bytes-per-second", 16<<20, "bytes of the same (SYNCLINE_BYTES_PER_SECOND)")
	fl.IntVar(&f.o.AccountShare, "account-share", 4, "how many times that all connections of an account may bring together (SYNCLINE_ACCOUNT_SHARE)")
	fl.IntVar(&f.o.MaxOrphanBytes, "max-orphan-bytes", graph.MaxOrphanBytes, "bytes of a document's changes that may wait for others they build on (SYNCLINE_MAX_ORPHAN_BYTES)")
	fl.DurationVar(&f.o.HandshakeTimeout, "handshake-timeout", 5*time.Second, "how long a client may take to join and show its token (SYNCLINE_HANDSHAKE_TIMEOUT)")
	fl.Int64Var(&f.o.DiskLowWater, "disk-low-water", 64<<20, "bytes of free disk below which nothing is stored (SYNCLINE_DISK_LOW_WATER)")
	fl.Int64Var(&f.o.IdleBytes, "idle-bytes", 4<<20, "bytes of memory for documents that are open and in which nothing happens (SYNCLINE_IDLE_BYTES)")
	fl.Float64Var(&f.o.CompactionShare, "compaction-share", 0.25, "part of one processor that folds long histories in the background; -1 folds none (SYNCLINE_COMPACTION_SHARE)")
	fl.DurationVar(&f.o.DrainTime, "drain-time", 2*time.Second, "over how long the closing of many connections is spread at the end (SYNCLINE_DRAIN_TIME)")
	cmd.AddCommand(relayDocsCommand(), relayCheckCommand())
	return cmd
}

// run serves until ctx ends. The address is taken first: a relay that may not or cannot
// listen leaves no store behind. Who connects while that is opened, waits.
func (f *relayFlags) run(ctx context.Context, log *slog.Logger) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	verifier, err := f.access.verifier(f.o.HandshakeTimeout, log)
	if err != nil {
		return err
	}
	if verifier != nil {
		defer func() { err = errors.Join(err, verifier.Close()) }()
	}
	certificate, err := f.tls.certificate(log)
	if err != nil {
		return err
	}
	l, err := f.take(ctx, verifier != nil, log)
	if err != nil {
		return err
	}
	scheme := "ws://"
	if certificate != nil {
		l, scheme = certificate.listen(l), "wss://"
	}
	defer l.Close() // which Serve has done, if it came to that
	store, err := openStore(ctx, f.data, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	o := f.o
	o.Store, o.Log, o.Version, o.Access, o.Audience = store, log, version(), verifier, f.access.audience
	o.Admin.TokenOnly = f.adminTokenOnly
	if f.page {
		if o.Pages, err = browser.Handler(); err != nil {
			return err
		}
	}
	r, err := relay.New(o)
	if err != nil {
		return err
	}
	log.Info("relay is listening", "url", scheme+l.Addr().String(), "data", store.Path(), "storageId", store.StorageID(), "access", verifier != nil)
	if err := r.Serve(ctx, l); err != nil {
		return err
	}
	log.Info("relay has stopped")
	return nil
}

// take listens, unless others could reach it and nothing says who may do what.
func (f *relayFlags) take(ctx context.Context, guarded bool, log *slog.Logger) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", f.listen)
	if err != nil {
		return nil, listenError(f.listen, err)
	}
	if guarded || access.Loopback(l.Addr()) {
		return l, nil
	}
	if !f.access.open {
		l.Close()
		return nil, fmt.Errorf("others can reach %s, and nothing says who may read and write: give --access-keys and --audience, listen on 127.0.0.1, or say --open-access to let everybody in", l.Addr())
	}
	warnOpen(log, l.Addr())
	return l, nil
}

func relayCheckCommand() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Ask a running relay whether it is ready",
		Long:  "Ask a running relay whether it takes connections and stores changes. The exit code\nis 0 only if it does, which is what health checks want.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root, err := url.Parse(at)
			if err != nil || root.Scheme != "http" && root.Scheme != "https" || root.Host == "" {
				return fmt.Errorf("%q is no URL of a relay; such as http://127.0.0.1:3030", at)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 4*time.Second)
			defer cancel()
			if err := operate.CheckReady(ctx, root); err != nil {
				if e, ok := errors.AsType[*url.Error](err); ok {
					err = fmt.Errorf("cannot ask %s: %w", root, remoteError(e.Err))
				}
				return failed(err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "ready")
			return err
		},
	}
	cmd.Flags().StringVar(&at, "at", "http://127.0.0.1:3030", "`URL` of the relay (SYNCLINE_AT)")
	return cmd
}

// openStore opens or makes the store in a data directory.
func openStore(ctx context.Context, data string, log *slog.Logger) (*storage.Store, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the data directory %s: %w; choose another with --data", data, bare(err))
	}
	path := filepath.Join(data, relayFile)
	// A relay folds what is long, so its journal's index stays small.
	store, err := storage.Open(ctx, path, storage.Options{Log: log, CacheBytes: 4 << 20})
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
