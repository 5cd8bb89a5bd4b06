package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"syncline/crdt/id"
	"syncline/peer"
)

func outboxCommand() *cobra.Command {
	f := new(file)
	cmd := &cobra.Command{
		Use:   "outbox",
		Short: "List what remotes have yet to get, retry or drop what is held back",
		Long: "Look at what the remotes of a file have yet to get, whether or not a peer is\n" +
			"running on it. A document that went wrong at a remote in a way that trying again\n" +
			"does not mend is dead there: nothing more is sent until it is retried. All other\n" +
			"documents, and all other remotes, go on.",
		Args: verbsBelow,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.add(cmd.PersistentFlags())
	cmd.AddCommand(outboxListCommand(f), outboxRetryCommand(f), outboxDropCommand(f))
	return cmd
}

func outboxListCommand(f *file) *cobra.Command {
	return &cobra.Command{
		Use:   "list --db FILE",
		Short: "List what remotes have yet to get, and what is held back and why",
		Long: "List the documents of which a remote lacks changes, or that are held back from\n" +
			"it: remote, document, state, changes that it is not known to have, what is wrong,\n" +
			"since when (UTC), and the reason in words. The states:\n\n" +
			"  queued   the changes go when there is a connection\n" +
			"  dead     held back until it is retried\n" +
			"  dropped  held back because syncline outbox drop was called\n\n" +
			"A line without a document is about the remote as a whole. If the output is not a\n" +
			"terminal, fields are separated by tabs.",
		Args: operands(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.outbox(cmd, func(ctx context.Context, p *peer.Peer) error {
				list, err := p.Outbox(ctx)
				if err != nil {
					return err
				}
				return listDeliveries(list, cmd.OutOrStdout())
			})
		},
	}
}

func listDeliveries(list []peer.Delivery, w io.Writer) error {
	t := table{columns: []column{{name: "REMOTE"}, {name: "DOCUMENT"}, {name: "STATE"}, {name: "PENDING", right: true}, {name: "CLASS"}, {name: "SINCE"}, {name: "WHY"}}}
	for _, d := range list {
		doc, class, since := "-", "-", "-"
		if d.Document != (id.Document{}) {
			doc = d.Document.URL()
		}
		if d.Class != "" {
			class = string(d.Class)
		}
		if !d.Since.IsZero() {
			since = d.Since.UTC().Format(time.RFC3339)
		}
		why := d.Reason
		if d.Hash != (id.Hash{}) {
			why = fmt.Sprintf("change %s: %s", d.Hash, why)
		}
		t.add(text(d.Remote), text(doc), text(string(d.State)), number(int64(d.Pending)), text(class), text(since), text(why))
	}
	return t.write(w)
}

func outboxRetryCommand(f *file) *cobra.Command {
	return &cobra.Command{
		Use:   "retry --db FILE URL [DOC]",
		Short: "Offer a document to a remote again",
		Long: "Offer a document that is held back to the remote again, or try the remote itself\n" +
			"again if no document is named. A running peer does so within seconds, the next one\n" +
			"when it starts.",
		Args: operands("URL", "[DOC]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.held(cmd, args, (*peer.Peer).Retry)
		},
	}
}

func outboxDropCommand(f *file) *cobra.Command {
	return &cobra.Command{
		Use:   "drop --db FILE URL DOC",
		Short: "Give up on delivering a document to a remote",
		Long: "Give up on delivering a document that is dead at a remote: it is not synced with\n" +
			"it any more, until it is retried. The document stays as it is in the file and\n" +
			"everywhere else.",
		Args: operands("URL", "DOC"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.held(cmd, args, (*peer.Peer).Drop)
		},
	}
}

// outbox is the work of a verb on a file that is there.
func (f *file) outbox(cmd *cobra.Command, work func(context.Context, *peer.Peer) error) error {
	log, err := silence(cmd)
	if err != nil {
		return err
	}
	return f.use(cmd, mustExist, peer.Options{Log: log}, work)
}

// held decides about something that is held back: a URL, and a document unless it is
// about the remote.
func (f *file) held(cmd *cobra.Command, args []string, decide func(*peer.Peer, context.Context, string, id.Document) error) error {
	var doc id.Document
	if len(args) > 1 {
		var err error
		if doc, err = parseDocument(args[1]); err != nil {
			return err
		}
	}
	return f.outbox(cmd, func(ctx context.Context, p *peer.Peer) error {
		err := decide(p, ctx, args[0], doc)
		if errors.Is(err, peer.ErrNotDead) {
			return fmt.Errorf("nothing of that is held back from %s: syncline outbox list --db %s shows what is", args[0], f.path)
		}
		return err
	})
}
