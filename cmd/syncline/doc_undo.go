package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"syncline/crdt"
	"syncline/peer"
)

func docUndoCommand(f *file) *cobra.Command {
	return &cobra.Command{
		Use:   "undo --db FILE DOC [HASH]",
		Short: "Undo what was done last in this file, or one change that was",
		Long: "Undo what was done last in this file on a document, or one change of it by its hash\n" +
			"or the first digits of that. The undo is a new change, whose hash and number are\n" +
			"printed as by op, and a running peer sends it on. It takes back the change's own effect\n" +
			"and keeps what others have done since, which is said on standard error.",
		Args: operands("DOC", "[HASH]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.read(cmd, args[0], func(ctx context.Context, d *peer.Document) error {
				if len(args) == 1 {
					u, err := d.Undo(ctx)
					return tellUndone(cmd, u, err)
				}
				h, err := d.FindChange(ctx, args[1])
				if err != nil {
					return err
				}
				u, err := d.UndoChange(ctx, h)
				return tellUndone(cmd, u, err)
			})
		},
	}
}

func docRedoCommand(f *file) *cobra.Command {
	return &cobra.Command{
		Use:   "redo --db FILE DOC",
		Short: "Do again what was undone last in this file",
		Long: "Do again what was undone last in this file on a document, unless something else was\n" +
			"done in it since. What is printed is as of undo.",
		Args: operands("DOC"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.read(cmd, args[0], func(ctx context.Context, d *peer.Document) error {
				u, err := d.Redo(ctx)
				return tellUndone(cmd, u, err)
			})
		},
	}
}

// tellUndone prints what became of an undo or a redo.
func tellUndone(cmd *cobra.Command, u peer.Undone, err error) error {
	for _, k := range u.Kept {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s is kept as it is: %s\n", printable(k.Path.String()), k.Why)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\t%d\n", u.Receipt.Hash, u.Receipt.Sequence)
	return err
}

func docRestoreCommand(f *file) *cobra.Command {
	return &cobra.Command{
		Use:   "restore --db FILE DOC POINT COLLECTION ID",
		Short: "Make an entity again what it was",
		Long: "Make an entity again what it was at a point of the document's history, by a new\n" +
			"change, whose hash and number are printed as by op. It can be undone.\n\n" + pointSyntax,
		Args: operands("DOC", "POINT", "COLLECTION", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.read(cmd, args[0], func(ctx context.Context, d *peer.Document) error {
				heads, err := point(ctx, d, args[1])
				if err != nil {
					return err
				}
				if len(heads) == 0 {
					return fmt.Errorf("nothing was in the document at %s; syncline doc history lists its changes", args[1])
				}
				r, err := d.Restore(ctx, heads, args[2], args[3])
				switch {
				case errors.Is(err, crdt.ErrNoChange):
					return fmt.Errorf("nothing to restore: %s/%s is what it was", args[2], args[3])
				case err != nil:
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\t%d\n", r.Hash, r.Sequence)
				return err
			})
		},
	}
}
