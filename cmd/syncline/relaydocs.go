package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"syncline/crdt/id"
	"syncline/relay/wire/admin"
	"syncline/storage"
)

// documents are those of a relay, in its file or as it tells of them itself.
type documents interface {
	// page returns those above an id, nil for the first.
	page(ctx context.Context, after *id.Document) (admin.Page, error)
	detail(ctx context.Context, doc id.Document) (admin.Detail, error)
	remove(ctx context.Context, doc id.Document) (admin.Deleted, error)
}

// relayDocs are the flags of the verbs.
type relayDocs struct {
	file
	at, token string
	json      bool
}

func relayDocsCommand() *cobra.Command {
	d := new(relayDocs)
	cmd := &cobra.Command{
		Use:   "docs",
		Short: "List, show and delete the documents that a relay keeps",
		Long: "Look after the documents of a relay: in its file with --db, which a running relay\n" +
			"does not mind unless something is to be deleted, or by asking the relay itself\n" +
			"with --at. DOC is the automerge: URL of a document, or that without the\n" +
			"automerge:.",
		Example: "  syncline relay docs list --db syncline-data/relay.db\n" +
			"  syncline relay docs delete --at http://127.0.0.1:3030 DOC",
		Args: verbsBelow,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	d.add(cmd.PersistentFlags())
	cmd.PersistentFlags().StringVar(&d.at, "at", "", "`URL` of a running relay, such as http://127.0.0.1:3030, in place of a file (SYNCLINE_AT)")
	cmd.PersistentFlags().StringVar(&d.token, "token", "", "access `TOKEN` with the admin claim for that relay (SYNCLINE_TOKEN, which other users of this machine do not see)")
	cmd.PersistentFlags().BoolVar(&d.json, "json", false, "print JSON (SYNCLINE_JSON)")
	cmd.AddCommand(
		&cobra.Command{
			Use:   "list",
			Short: "List the documents with their changes, heads and bytes",
			Long: "List the documents: URL, number of changes, number of heads, bytes of the\n" +
				"changes, and how many changes compaction has not folded yet. If the output is\n" +
				"not a terminal, fields are separated by tabs.",
			Args: operands(),
			RunE: func(cmd *cobra.Command, _ []string) error { return d.use(cmd, d.list(cmd.OutOrStdout())) },
		},
		d.one("show", "Show what is kept of a document", "Show what the relay keeps of a document: its heads, and what compaction made.", d.show),
		d.one("delete", "Delete a document for good", "Delete a document with all its changes. Peers that have it keep it, and one that\n"+
			"syncs it later makes it again. In the file of a running relay this is refused:\n"+
			"ask the relay with --at.", d.delete),
	)
	return cmd
}

// one is a verb on one document.
func (d *relayDocs) one(use, short, long string, work func(io.Writer, id.Document) func(context.Context, documents) error) *cobra.Command {
	return &cobra.Command{
		Use:   use + " DOC",
		Short: short,
		Long:  long,
		Args:  operands("DOC"),
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := id.ParseDocument(args[0])
			if err != nil {
				return fmt.Errorf("%w; write it as syncline relay docs list does", err)
			}
			return d.use(cmd, work(cmd.OutOrStdout(), doc))
		},
	}
}

// use does the work on the documents that the flags name.
func (d *relayDocs) use(cmd *cobra.Command, work func(context.Context, documents) error) error {
	// What was typed goes before what the environment says.
	typed := func(name, value string) bool { return value != "" && os.Getenv(environmentName(name)) != value }
	switch {
	case d.path == "" && d.at == "":
		return errors.New("name the relay's file with --db FILE, or the running relay with --at URL")
	case d.path != "" && d.at != "" && typed("db", d.path) == typed("at", d.at):
		return errors.New("--db and --at are both given: name the file, or the running relay")
	case d.at != "" && (d.path == "" || typed("at", d.at)):
		remote, err := newRemoteDocuments(d.at, d.token)
		if err != nil {
			return err
		}
		defer remote.close()
		return failed(work(cmd.Context(), remote))
	}
	return d.store(cmd, func(ctx context.Context, s *storage.Store) error { return work(ctx, fileDocuments{s}) })
}

func (d *relayDocs) list(w io.Writer) func(context.Context, documents) error {
	return func(ctx context.Context, docs documents) error {
		all := admin.Page{Documents: []admin.Document{}} // for JSON, which is one value
		t := table{columns: []column{
			{name: "DOCUMENT", least: 38}, {name: "CHANGES", right: true, least: 8}, {name: "HEADS", right: true},
			{name: "SIZE", right: true, least: 8}, {name: "UNFOLDED", right: true},
		}}
		err := pages(ctx, docs, func(p admin.Page) error {
			if d.json {
				all.Documents = append(all.Documents, p.Documents...)
				return nil
			}
			for _, doc := range p.Documents {
				t.add(text("automerge:"+doc.ID), number(doc.Changes), number(int64(len(doc.Heads))), size(doc.Bytes), number(doc.RawChanges))
			}
			err := t.write(w)
			t.rows, t.more = nil, true
			return err
		})
		if err != nil || !d.json {
			return err
		}
		return writeJSON(w, all)
	}
}

// pages calls fn with one page after the other.
func pages(ctx context.Context, docs documents, fn func(admin.Page) error) error {
	var after *id.Document
	for {
		p, err := docs.page(ctx, after)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
		if p.Next == "" {
			return nil
		}
		next, err := id.ParseDocument(p.Next)
		if err != nil {
			return fmt.Errorf("the relay names the next page by %q: %w", p.Next, err)
		}
		if after != nil && bytes.Compare(next[:], after[:]) <= 0 {
			return fmt.Errorf("the relay's pages go back, from %s to %s", after, next)
		}
		after = &next
	}
}

func (d *relayDocs) show(w io.Writer, doc id.Document) func(context.Context, documents) error {
	return func(ctx context.Context, docs documents) error {
		found, err := docs.detail(ctx, doc)
		if err != nil {
			return err
		}
		if d.json {
			return writeJSON(w, found)
		}
		var b bytes.Buffer
		line := func(name string, format string, args ...any) {
			fmt.Fprintf(&b, "%-10s"+format+"\n", append([]any{name}, args...)...)
		}
		line("document", "automerge:%s", printable(found.ID))
		line("created", "%s", found.Created.UTC().Format("2006-01-02T15:04:05Z"))
		line("changes", "%d, %s", found.Changes, size(found.Bytes).short)
		line("unfolded", "%d, %s", found.RawChanges, size(found.RawBytes).short)
		line("segments", "%d, %s", found.Segments, size(found.SegmentBytes).short)
		for i, h := range found.Heads {
			name := "heads"
			if i > 0 {
				name = ""
			}
			line(name, "%s", printable(h))
		}
		if _, err := b.WriteTo(w); err != nil {
			return err
		}
		t := table{columns: []column{
			{name: "KIND", right: true}, {name: "LEVEL", right: true}, {name: "CHANGES", right: true}, {name: "FIRST ROW", right: true},
			{name: "LAST ROW", right: true}, {name: "SIZE", right: true}, {name: "STANDS"},
		}}
		for _, g := range found.Parts {
			stands := "beside its changes"
			if g.Folds {
				stands = "in their place"
			}
			t.add(number(int64(g.Kind)), number(int64(g.Level)), number(g.Rows), number(g.FirstRow), number(g.LastRow), size(g.Bytes+g.IndexBytes), text(stands))
		}
		return t.write(w)
	}
}

func (d *relayDocs) delete(w io.Writer, doc id.Document) func(context.Context, documents) error {
	return func(ctx context.Context, docs documents) error {
		gone, err := docs.remove(ctx, doc)
		if err != nil {
			return err
		}
		if d.json {
			return writeJSON(w, gone)
		}
		_, err = fmt.Fprintf(w, "deleted %s: %s\n", doc.URL(), counted(int(gone.Changes), "change"))
		return err
	}
}

func writeJSON(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(inert(b), '\n'))
	return err
}

// fileDocuments are those of a relay's file.
type fileDocuments struct{ store *storage.Store }

func (f fileDocuments) page(ctx context.Context, after *id.Document) (admin.Page, error) {
	found, err := f.store.DocumentsAfter(ctx, after, admin.MaxLimit)
	return admin.PageOf(found, admin.MaxLimit), err
}

func (f fileDocuments) detail(ctx context.Context, doc id.Document) (admin.Detail, error) {
	d, err := admin.Describe(ctx, f.store, doc)
	return d, f.unknown(doc, err)
}

func (f fileDocuments) remove(ctx context.Context, doc id.Document) (admin.Deleted, error) {
	// A relay has documents in memory, and would go on as if it still had them
	// on the disk.
	others, err := f.store.Others(ctx)
	if err != nil {
		return admin.Deleted{}, err
	}
	if others > 0 {
		return admin.Deleted{}, fmt.Errorf("another program has %s open: ask the running relay to delete it with --at URL, or stop it first", f.store.Path())
	}
	changes, err := f.store.DeleteDocument(ctx, doc)
	return admin.Deleted{ID: doc.String(), Changes: changes}, f.unknown(doc, err)
}

// unknown says in few words that there is no such document.
func (f fileDocuments) unknown(doc id.Document, err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("%s is not in %s: syncline relay docs list shows what is", doc.URL(), f.store.Path())
	}
	return err
}
