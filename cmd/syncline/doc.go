package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"syncline/peer"
)

func docCommand() *cobra.Command {
	f := new(file)
	cmd := &cobra.Command{
		Use:   "doc",
		Short: "Make, list, show, undo, compare, import and export documents",
		Long: "Work on the documents of a file, whether or not a peer is running on it. DOC is\n" +
			"the automerge: URL of a document, or that without the automerge:.",
		Args: verbsBelow,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.add(cmd.PersistentFlags())
	cmd.AddCommand(
		docDiffCommand(f),
		docExportCommand(f),
		docHeadsCommand(f),
		docHistoryCommand(f),
		docImportCommand(f),
		docListCommand(f),
		docLogCommand(f),
		docNewCommand(f),
		docRedoCommand(f),
		docRestoreCommand(f),
		docShowCommand(f),
		docUndoCommand(f),
	)
	return cmd
}

// reader is a doc verb that looks at one document.
func (f *file) reader(use, short, long string, read func(context.Context, *peer.Document, io.Writer) error) *cobra.Command {
	return &cobra.Command{
		Use:   use + " --db FILE DOC",
		Short: short,
		Long:  long,
		Args:  operands("DOC"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.read(cmd, args[0], func(ctx context.Context, d *peer.Document) error {
				return read(ctx, d, cmd.OutOrStdout())
			})
		},
	}
}

// read opens a document of a file that is there.
func (f *file) read(cmd *cobra.Command, arg string, read func(context.Context, *peer.Document) error) error {
	doc, err := parseDocument(arg)
	if err != nil {
		return err
	}
	log, err := silence(cmd)
	if err != nil {
		return err
	}
	return f.use(cmd, mustExist, peer.Options{Log: log}, func(ctx context.Context, p *peer.Peer) error {
		d, err := f.open(ctx, p, doc)
		if err != nil {
			return err
		}
		return read(ctx, d)
	})
}

func docNewCommand(f *file) *cobra.Command {
	return &cobra.Command{
		Use:   "new --db FILE",
		Short: "Make an empty document and print its URL",
		Long:  "Make an empty document and print its URL. The file is made if it is not there.",
		Args:  operands(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := silence(cmd)
			if err != nil {
				return err
			}
			return f.use(cmd, madeIfNeeded, peer.Options{Log: log}, func(ctx context.Context, p *peer.Peer) error {
				d, err := p.Create(ctx)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), d.URL())
				return err
			})
		},
	}
}

func docListCommand(f *file) *cobra.Command {
	return &cobra.Command{
		Use:   "list --db FILE",
		Short: "List the documents with their changes, heads and bytes",
		Long: "List the documents: URL, number of changes, number of heads, bytes of the\n" +
			"changes. If the output is not a terminal, fields are separated by tabs.",
		Args: operands(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := silence(cmd)
			if err != nil {
				return err
			}
			return f.use(cmd, mustExist, peer.Options{Log: log}, func(ctx context.Context, p *peer.Peer) error {
				return listDocuments(ctx, p, cmd.OutOrStdout())
			})
		},
	}
}

func listDocuments(ctx context.Context, p *peer.Peer, w io.Writer) error {
	infos, err := p.Documents(ctx)
	if err != nil {
		return err
	}
	t := table{columns: []column{{name: "DOCUMENT"}, {name: "CHANGES", right: true}, {name: "HEADS", right: true}, {name: "SIZE", right: true}}}
	for _, info := range infos {
		heads, err := countHeads(ctx, p, info)
		if err != nil {
			return err
		}
		t.add(text(info.ID.URL()), number(info.Changes), number(heads), size(info.Bytes))
	}
	return t.write(w)
}

// countHeads looks at the document: with several writers, what the list has are the
// heads as the last of them knew them.
func countHeads(ctx context.Context, p *peer.Peer, info peer.Info) (int64, error) {
	if info.Changes == 0 {
		return 0, nil
	}
	d, err := p.OpenDocument(ctx, info.ID)
	if err != nil {
		return 0, err
	}
	heads, err := d.Heads(ctx)
	return int64(len(heads)), err
}

func docHeadsCommand(f *file) *cobra.Command {
	return f.reader("heads", "Print the hashes of a document's heads, one a line",
		"Print the hashes of the changes that nothing in the document depends on, one a\n"+
			"line, ascending. Documents with the same heads are the same.",
		func(ctx context.Context, d *peer.Document, w io.Writer) error {
			heads, err := d.Heads(ctx)
			if err != nil {
				return err
			}
			var b bytes.Buffer
			for _, h := range heads {
				fmt.Fprintln(&b, h)
			}
			_, err = b.WriteTo(w)
			return err
		})
}

func docShowCommand(f *file) *cobra.Command {
	return &cobra.Command{
		Use:   "show --db FILE DOC [POINT]",
		Short: "Print a document as JSON, as it is or was",
		Long:  "Print a document as JSON, keys sorted.\n\n" + pointSyntax,
		Args:  operands("DOC", "[POINT]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.read(cmd, args[0], func(ctx context.Context, d *peer.Document) error {
				flat, err := jsonAt(ctx, d, args[1:])
				if err != nil {
					return err
				}
				var b bytes.Buffer
				if err := json.Indent(&b, flat, "", "  "); err != nil {
					return fmt.Errorf("show %s: %w", d.URL(), err)
				}
				b.WriteByte('\n')
				_, err = cmd.OutOrStdout().Write(inert(b.Bytes()))
				return err
			})
		},
	}
}

// inert escapes the characters in JSON's strings that JSON lets stand and that a
// terminal would act on: those from 7f to 9f.
func inert(b []byte) []byte {
	var out []byte
	from := 0
	for i := 0; i < len(b); i++ {
		n, c := 1, b[i]
		if c == 0xc2 && i+1 < len(b) && b[i+1] < 0xa0 {
			n, c = 2, b[i+1] // as UTF-8 writes 80 to 9f
		}
		if c != 0x7f && n == 1 {
			continue
		}
		out = fmt.Appendf(append(out, b[from:i]...), `\u%04x`, c)
		i += n - 1
		from = i + 1
	}
	return append(out, b[from:]...)
}
