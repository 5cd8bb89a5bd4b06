package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/crdt/value"
	"syncline/peer"
)

func docHistoryCommand(f *file) *cobra.Command {
	var limit int
	var before string
	cmd := &cobra.Command{
		Use:   "history --db FILE DOC",
		Short: "List who changed a document, when and what for, the last change first",
		Long: "List a document's changes from the last to the first: hash, time (UTC, as its\n" +
			"author says), device, and what it was meant to do. A device has the same name in all\n" +
			"its changes of a document, and another one in every other document. Where there is\n" +
			"more, --before with the last hash of a list goes on. doc log says how far changes\n" +
			"have come. If the output is not a terminal, fields are separated by tabs.",
		Args: operands("DOC"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return fmt.Errorf("--limit %d: want 1 or more", limit)
			}
			return f.read(cmd, args[0], func(ctx context.Context, d *peer.Document) error {
				t := table{columns: []column{{name: "HASH"}, {name: "TIME"}, {name: "DEVICE"}, {name: "INTENT"}}}
				var o peer.HistoryOptions
				if before != "" {
					var err error
					if o.Before, err = d.FindChange(ctx, before); err != nil {
						return err
					}
				}
				for left := limit; left > 0; {
					o.Limit = left
					page, err := d.HistoryPage(ctx, o)
					if err != nil {
						return err
					}
					for _, e := range page.Entries {
						hash := e.Hash.String()
						t.add(cell{hash, hash[:8]}, text(e.Time.Format(time.RFC3339)), cell{e.Device(), e.Device()[:min(8, len(e.Device()))]}, text(e.Intent))
					}
					left -= len(page.Entries)
					if o.Before = page.Next; o.Before == (id.Hash{}) {
						break
					}
				}
				return t.write(cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "list so many changes at most")
	cmd.Flags().StringVar(&before, "before", "", "begin behind the change with this hash, or these first digits of it")
	return cmd
}

func docDiffCommand(f *file) *cobra.Command {
	return &cobra.Command{
		Use:   "diff --db FILE DOC POINT [POINT]",
		Short: "List what differs between two points of a document's history",
		Long: "List what differs between two points of a document's history, or between one and\n" +
			"now: added, removed or changed; where, as COLLECTION/ID/FIELD; from what, to what.\n" +
			"Of a text that has changed, a terminal shows the edits: @ position, characters that\n" +
			"went, what came. If the output is not a terminal, fields are separated by tabs and\n" +
			"values are JSON.\n\n" + pointSyntax,
		Args: operands("DOC", "POINT", "[POINT]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.read(cmd, args[0], func(ctx context.Context, d *peer.Document) error {
				from, err := point(ctx, d, args[1])
				if err != nil {
					return err
				}
				to, err := point(ctx, d, append(args, "now")[2])
				if err != nil {
					return err
				}
				diff, err := d.Diff(ctx, from, to)
				if err != nil {
					return err
				}
				t := table{columns: []column{{name: "DIFFERENCE"}, {name: "PLACE"}, {name: "FROM"}, {name: "TO"}}}
				for _, e := range diff {
					addDiff(&t, e)
				}
				return t.write(cmd.OutOrStdout())
			})
		},
	}
}

// addDiff adds an entity that differs. One that is new or gone has a line of its own,
// and then its fields.
func addDiff(t *table, e crdt.EntityDiff) {
	if e.Difference != crdt.Changed {
		t.add(text(string(e.Difference)), text(crdt.Path{e.Collection, e.ID}.String()), text(""), text(""))
	}
	for _, f := range e.Fields {
		from, to := jsonCell(f.From, f.Difference != crdt.Added), jsonCell(f.To, f.Difference != crdt.Removed)
		if len(f.Splices) > 0 {
			to.short = splicesText(f.Splices)
		}
		t.add(text(string(f.Difference)), text(append(crdt.Path{e.Collection, e.ID}, f.Path...).String()), from, to)
	}
}

func jsonCell(v any, there bool) cell {
	if !there {
		return text("")
	}
	return text(string(value.AppendTyped(nil, v)))
}

func splicesText(splices []crdt.TextSplice) string {
	var b strings.Builder
	for i, s := range splices {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "@%d", s.Pos)
		if s.Del > 0 {
			fmt.Fprintf(&b, " -%d", s.Del)
		}
		if s.Text != "" {
			fmt.Fprintf(&b, " +%q", s.Text)
		}
	}
	return b.String()
}
