package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"syncline/storage"
)

func backupCommand() *cobra.Command {
	f := new(file)
	cmd := &cobra.Command{
		Use:   "backup --db FILE OUT",
		Short: "Copy a file of documents while it is in use",
		Long: "Copy the file of a relay or of a peer to OUT, whether or not one is running on\n" +
			"it. OUT is the file as it was at one moment, is checked before it gets its name,\n" +
			"and is never written over what is there. To restore it, put it in the place of\n" +
			"the file while nothing is running on that.",
		Example: "  syncline backup --db syncline-data/relay.db /backups/relay-monday.db",
		Args:    operands("OUT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.store(cmd, func(ctx context.Context, s *storage.Store) error {
				return backup(ctx, s, args[0], cmd.ErrOrStderr())
			})
		},
	}
	f.add(cmd.Flags())
	return cmd
}

// store opens a file that is there as a store, does the work and closes it. A
// failure of either is one of the work.
func (f *file) store(cmd *cobra.Command, work func(context.Context, *storage.Store) error) error {
	if f.path == "" {
		return errors.New("name the file that holds the documents: --db FILE, or SYNCLINE_DB in the environment")
	}
	log, err := silence(cmd)
	if err != nil {
		return err
	}
	return failed(func() (err error) {
		if err := f.find(); err != nil {
			return err
		}
		s, err := storage.Open(cmd.Context(), f.path, storage.Options{Log: log})
		if err != nil {
			return f.openError(err)
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		return work(cmd.Context(), s)
	}())
}

// backup writes the copy, and on a terminal how far it is.
func backup(ctx context.Context, s *storage.Store, out string, w io.Writer) error {
	var progress func(done, total int64)
	if _, ok := terminal(w); ok {
		progress = func(done, total int64) {
			fmt.Fprintf(w, "\rcopied %9s of %s", size(done).short, size(total).short)
		}
		defer fmt.Fprintln(w)
	}
	err := s.Backup(ctx, out, progress)
	dir := filepath.Dir(out)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is there already: choose another name, or move it away; it was not touched", out)
	case errors.Is(err, storage.ErrFull):
		return fmt.Errorf("cannot write %s: its disk is full; free some space there, or choose another place. Nothing was left behind", out)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no directory %s for the copy: make it first, or choose another", dir)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, storage.ErrReadOnly):
		return fmt.Errorf("cannot write in %s: give this user write access to it, or choose another place", dir)
	case errors.Is(err, storage.ErrDamaged):
		return fmt.Errorf("%s is damaged, and no copy was made: restore it from an earlier one", s.Path())
	}
	return err
}
