package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"syncline/peer"
)

func docExportCommand(f *file) *cobra.Command {
	return &cobra.Command{
		Use:   "export --db FILE DOC [FILE]",
		Short: "Write a document as Automerge saves it",
		Long: "Write a document with its whole history as Automerge saves it, to a file, or to\n" +
			"standard output if none is named. syncline doc import and every Automerge\n" +
			"library read it.",
		Args: operands("DOC", "[FILE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			to := "-"
			if len(args) > 1 {
				to = args[1]
			}
			if _, ok := terminal(cmd.OutOrStdout()); ok && to == "-" {
				return errors.New("a saved document is not for a terminal: name a file after DOC, or send the output into one")
			}
			return f.read(cmd, args[0], func(ctx context.Context, d *peer.Document) error {
				b, err := d.Save(ctx)
				if err != nil {
					return err
				}
				if to == "-" {
					_, err = cmd.OutOrStdout().Write(b)
					return err
				}
				if err := replaceFile(to, b); err != nil {
					return fmt.Errorf("cannot write %s: %w", to, cause(err))
				}
				return nil
			})
		},
	}
}

// replaceFile writes a file whole, or leaves what was there.
func replaceFile(path string, b []byte) (err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, b, 0) // a device or a pipe, which cannot be replaced
	}
	whole := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()[:8])
	f, err := os.OpenFile(whole, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(whole, path)
	}
	if err != nil {
		os.Remove(whole)
	}
	return err
}

// cause is what the system says, without the file that it says it of.
func cause(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
