package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"syncline/peer"
)

func docLogCommand(f *file) *cobra.Command {
	return f.reader("log", "List a document's changes",
		"List a document's changes, each after those that it depends on: hash, time (UTC,\n"+
			"as its author says), start of the actor id, and what it was meant to do. A\n"+
			"device has the same start in all its changes of a document. If the output is not\n"+
			"a terminal, fields are separated by tabs and hashes are whole.",
		func(ctx context.Context, d *peer.Document, w io.Writer) error {
			entries, err := d.History(ctx)
			if err != nil {
				return err
			}
			t := table{columns: []column{{name: "HASH"}, {name: "TIME"}, {name: "ACTOR"}, {name: "INTENT"}}}
			for _, e := range entries {
				hash := e.Hash.String()
				actor := e.Actor.String()
				t.add(cell{hash, hash[:8]}, text(e.Time.Format(time.RFC3339)), text(actor[:min(8, len(actor))]), text(e.Intent))
			}
			return t.write(w)
		})
}
