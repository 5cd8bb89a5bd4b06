package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"syncline/crdt/id"
	"syncline/peer"
	"syncline/storage"
)

// file is the store that a verb works on. A peer and other verbs may use it at the
// same time.
type file struct {
	path string
}

func (f *file) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.path, "db", "", "`FILE` that holds the documents (SYNCLINE_DB)")
}

// presence says what becomes of a verb whose file is not there.
type presence int

const (
	mustExist    presence = iota // it fails, and makes nothing
	madeIfNeeded                 // it makes the file
)

// use opens the file as a peer, does the work and closes it. A failure of either is
// one of the work.
func (f *file) use(cmd *cobra.Command, p presence, o peer.Options, work func(context.Context, *peer.Peer) error) error {
	if f.path == "" {
		return errors.New("name the file that holds the documents: --db FILE, or SYNCLINE_DB in the environment")
	}
	return failed(f.with(cmd.Context(), p, o, work))
}

func (f *file) with(ctx context.Context, p presence, o peer.Options, work func(context.Context, *peer.Peer) error) (err error) {
	if p == mustExist {
		if err := f.find(); err != nil {
			return err
		}
	}
	node, err := peer.Open(ctx, f.path, o)
	if err != nil {
		return f.openError(err)
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	return work(ctx, node)
}

// find fails if opening would make the file.
func (f *file) find() error {
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file %s: name another with --db, or make it and a document in it with: syncline doc new --db %[1]s", f.path)
	case err != nil:
		return bare(err)
	case info.Mode().IsRegular() && info.Size() == 0:
		return fmt.Errorf("the file %s is empty: name another with --db, or make a document in it with: syncline doc new --db %[1]s", f.path)
	}
	return nil
}

// openError says what to do about a file that cannot be opened.
func (f *file) openError(err error) error {
	dir := filepath.Dir(f.path)
	if _, staterr := os.Stat(dir); errors.Is(staterr, fs.ErrNotExist) {
		return fmt.Errorf("there is no directory %s for the file: make it first, or choose another with --db", dir)
	}
	if errors.Is(err, storage.ErrForeign) {
		return fmt.Errorf("%s belongs to another program: choose another file with --db; it was not touched", f.path)
	}
	if errors.Is(err, storage.ErrReadOnly) || errors.Is(err, storage.ErrIO) && !writable(dir) {
		return fmt.Errorf("cannot write %s: give this user write access to it and to its directory, or choose another with --db", f.path)
	}
	return err
}

// open finds a document in the store.
func (f *file) open(ctx context.Context, p *peer.Peer, doc id.Document) (*peer.Document, error) {
	d, err := p.OpenDocument(ctx, doc)
	if errors.Is(err, peer.ErrUnknown) {
		return nil, fmt.Errorf("%s is not in %s: syncline doc list shows what is; to fetch it: syncline sync --db %[2]s --to URL --doc %[1]s", doc.URL(), f.path)
	}
	return d, err
}

// parseDocument reads a DOC argument.
func parseDocument(arg string) (id.Document, error) {
	doc, err := id.ParseDocument(arg)
	if err != nil {
		return doc, fmt.Errorf("%w; write it as syncline doc list does", err)
	}
	return doc, nil
}

// silence is the log of verbs that speak for themselves: there is none unless
// --log-level asks for it, so that an error is one line.
func silence(cmd *cobra.Command) (*slog.Logger, error) {
	if !cmd.Flags().Changed("log-level") {
		return slog.New(slog.DiscardHandler), nil
	}
	return logger(cmd, cmd.ErrOrStderr())
}

// verbsBelow are the arguments of a command that only has others below it.
func verbsBelow(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q is not something that %s does; see %[2]s --help", args[0], cmd.CommandPath())
	}
	return nil
}

// operands checks that as many arguments are there as are named; the names in
// brackets may be left out.
func operands(names ...string) cobra.PositionalArgs {
	least := len(names)
	for least > 0 && strings.HasPrefix(names[least-1], "[") {
		least--
	}
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("%s: %s is missing; see %[1]s --help", cmd.CommandPath(), names[len(args)])
		case len(args) > len(names):
			return fmt.Errorf("%s: %q is one argument too many; see %[1]s --help", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}
