package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncline/peer"
)

func docLogCommand(f *file) *cobra.Command {
	return f.reader("log", "List a document's changes, and how far those made here have come",
		"List a document's changes, each after those that it depends on: hash, time (UTC,\n"+
			"as its author says), start of the actor id, number, state, and what it was meant to\n"+
			"do. A device has the same start in all its changes of a document. An operation\n"+
			"that was done in this file has a number in it, as op prints it, and a state:\n\n"+
			"  local         on the disk here\n"+
			"  sent          it has left, and nobody has said that it came\n"+
			"  acknowledged  on the disk at a remote\n"+
			"  seen          a peer has it\n\n"+
			"What others did has - there. If the output is not a terminal, fields are separated\n"+
			"by tabs, hashes are whole, and a state names the ends that have the change.",
		func(ctx context.Context, d *peer.Document, w io.Writer) error {
			log, err := d.Log(ctx)
			if err != nil {
				return err
			}
			t := table{columns: []column{{name: "HASH"}, {name: "TIME"}, {name: "ACTOR"}, {name: "OP", right: true}, {name: "STATE"}, {name: "INTENT"}}}
			for _, e := range log {
				hash := e.Hash.String()
				actor := e.Actor.String()
				op, state := text("-"), text("-")
				if e.Receipt.Sequence > 0 {
					op = number(e.Receipt.Sequence)
				}
				if e.Ours {
					state = stateCell(e.Progress)
				}
				t.add(cell{hash, hash[:8]}, text(e.Time.Format(time.RFC3339)), text(actor[:min(8, len(actor))]), op, state, text(e.Intent))
			}
			return t.write(w)
		})
}

// stateCell is how far a change has come, with the storage ids of those who have it.
func stateCell(p peer.Progress) cell {
	state := p.State.String()
	return cell{full: strings.Join(append([]string{state}, p.Acknowledged...), " "), short: state}
}
