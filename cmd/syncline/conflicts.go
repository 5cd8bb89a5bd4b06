package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"syncline/crdt"
	"syncline/crdt/schema"
	"syncline/crdt/value"
	"syncline/peer"
	"syncline/peer/resolve"
)

// conflicts are those of a file, or of a running resolver.
type conflicts interface {
	list(ctx context.Context) ([]resolve.Item, error)
	show(ctx context.Context, name string) (resolve.Detail, error)
	settle(ctx context.Context, name string, to resolve.Choice) (resolve.Settled, error)
}

// conflictFlags are the flags of the verbs.
type conflictFlags struct {
	file
	at, token, schema string
	json              bool
}

func conflictsCommand() *cobra.Command {
	f := new(conflictFlags)
	cmd := &cobra.Command{
		Use:   "conflicts",
		Short: "List, show and settle the conflicts that are left for a person",
		Long: "Look at the places in documents to which several people have given different\n" +
			"values at the same time, and that no rule of a schema decides: in a file with\n" +
			"--db, which peers may be running on, or with --at by asking a peer that runs\n" +
			"with --resolve and --resolve-listen. Without a schema every such place is listed.\n\n" +
			"ID names a place with the values that it has. If somebody changes it meanwhile,\n" +
			"it has another id, and is not settled over values that you have not seen.",
		Example: "  syncline conflicts list --db shop.db --schema shop.json\n" +
			"  syncline conflicts show --db shop.db ID\n" +
			"  syncline conflicts settle --at http://127.0.0.1:3032 ID 2",
		Args: verbsBelow,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	fl := cmd.PersistentFlags()
	f.add(fl)
	fl.StringVar(&f.schema, "schema", "", "JSON `FILE` with the schema whose rules decide; for --db (SYNCLINE_SCHEMA)")
	fl.StringVar(&f.at, "at", "", "`URL` of a running resolver, such as http://127.0.0.1:3032, in place of a file (SYNCLINE_AT)")
	fl.StringVar(&f.token, "token", "", "access `TOKEN` with the admin claim for that (SYNCLINE_TOKEN, which other users of this machine do not see)")
	fl.BoolVar(&f.json, "json", false, "print JSON (SYNCLINE_JSON)")
	cmd.AddCommand(f.listCommand(), f.showCommand(), f.settleCommand())
	return cmd
}

func (f *conflictFlags) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the conflicts that are left for a person",
		Long: "List the conflicts: id, place (collection, entity and field), why no rule\n" +
			"decides, document. If the output is not a terminal, fields are separated by\n" +
			"tabs.",
		Args: operands(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.use(cmd, func(ctx context.Context, c conflicts) error {
				all, err := c.list(ctx)
				if err != nil {
					return err
				}
				if f.json {
					return printJSON(cmd.OutOrStdout(), all)
				}
				t := table{columns: []column{{name: "ID"}, {name: "PLACE"}, {name: "REASON"}, {name: "DOCUMENT"}}}
				for _, i := range all {
					t.add(text(i.ID), text(i.Place()), text(i.Reason), text(i.Document))
				}
				return t.write(cmd.OutOrStdout())
			})
		},
	}
}

func (f *conflictFlags) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show the values of a conflict",
		Long: "Show the values of a conflict, each with its number, who wrote it (the device)\n" +
			"and when by that device's clock, and what it is: read, if it is what the rule\n" +
			"reads now; misfit, if the rule was not made for it. The values are JSON.",
		Args: operands("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.use(cmd, func(ctx context.Context, c conflicts) error {
				d, err := c.show(ctx, args[0])
				if err != nil {
					return conflictError(err)
				}
				if f.json {
					return printJSON(cmd.OutOrStdout(), d)
				}
				return showConflict(cmd.OutOrStdout(), d)
			})
		},
	}
}

func showConflict(w io.Writer, d resolve.Detail) error {
	if _, err := fmt.Fprintf(w, "%s\n  of automerge:%s%s\n  %s\n", printable(d.Place()), printable(d.Document), byRule(d.Rule), printable(d.Why)); err != nil {
		return err
	}
	t := table{columns: []column{{name: "N", right: true}, {name: "TIME"}, {name: "DEVICE"}, {name: "IS"}, {name: "VALUE"}}}
	for i, v := range d.Values {
		is := "-"
		switch {
		case v.Misfit:
			is = "misfit"
		case v.Chosen:
			is = "read"
		}
		shown := string(v.Value)
		if plain, err := value.ParseValue(v.Value); err == nil {
			shown = string(value.AppendJSON(nil, plain))
		}
		t.add(number(int64(i+1)), text(v.Time.UTC().Format(time.RFC3339)), text(v.Device), text(is), text(shown))
	}
	return t.write(w)
}

func byRule(rule string) string {
	if rule == "" {
		return ""
	}
	return ", rule " + rule
}

func (f *conflictFlags) settleCommand() *cobra.Command {
	var merged bool
	var other string
	cmd := &cobra.Command{
		Use:   "settle ID [N]",
		Short: "Write which value of a conflict stands",
		Long: "Settle a conflict: the value with the number N of syncline conflicts show\n" +
			"stands, or what the rule reads (--merged), or another (--value). It is written\n" +
			"as an operation like any other, with its hash and number printed; the other\n" +
			"values are in the history. A text, list or map is written anew: what others were\n" +
			"adding to it while they were not connected is not in it.",
		Args: operands("ID", "[N]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := 0
			if len(args) > 1 {
				var err error
				if n, err = strconv.Atoi(args[1]); err != nil || n < 1 {
					return fmt.Errorf("%q for N: want the number of a value, as syncline conflicts show has it", args[1])
				}
			}
			if ways := btoi(n > 0) + btoi(merged) + btoi(other != ""); ways != 1 {
				return errors.New("say which value stands: N, or --merged, or --value JSON")
			}
			to := resolve.Choice{Merged: merged}
			if other != "" {
				if _, err := crdt.ParseValue([]byte(other)); err != nil {
					return fmt.Errorf("--value %.40q: %w; write JSON, such as \"paid\" with its quotes", other, err)
				}
				to.Value = json.RawMessage(other)
			}
			return f.use(cmd, func(ctx context.Context, c conflicts) error {
				if n > 0 {
					d, err := c.show(ctx, args[0])
					if err != nil {
						return conflictError(err)
					}
					if n > len(d.Values) {
						return fmt.Errorf("there is no value %d: it has %d, as syncline conflicts show lists them", n, len(d.Values))
					}
					to.Operation = d.Values[n-1].Operation
				}
				made, err := c.settle(ctx, args[0], to)
				if err != nil {
					return conflictError(err)
				}
				if f.json {
					return printJSON(cmd.OutOrStdout(), made)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\t%d\n", made.Hash, made.Sequence)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&merged, "merged", false, "what the rule reads stands (SYNCLINE_MERGED)")
	cmd.Flags().StringVar(&other, "value", "", "another value stands, in `JSON` as operations have it (SYNCLINE_VALUE)")
	return cmd
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// conflictError says what to do about an error of a conflict.
func conflictError(err error) error {
	if errors.Is(err, resolve.ErrUnknown) || errors.Is(err, peer.ErrNoConflict) {
		return fmt.Errorf("%w: syncline conflicts list shows what there is", err)
	}
	if refused, ok := errors.AsType[*crdt.OperationError](err); ok {
		return refused.Err
	}
	return err
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// use does the work on the conflicts that the flags name.
func (f *conflictFlags) use(cmd *cobra.Command, work func(context.Context, conflicts) error) error {
	typed := func(name, value string) bool { return value != "" && os.Getenv(environmentName(name)) != value }
	switch {
	case f.path == "" && f.at == "":
		return errors.New("name the file that holds the documents with --db FILE, or a running resolver with --at URL")
	case f.path != "" && f.at != "" && typed("db", f.path) == typed("at", f.at):
		return errors.New("--db and --at are both given: name the file, or the running resolver")
	case f.at != "" && (f.path == "" || typed("at", f.at)):
		remote, err := newAdminPages(f.at, f.token, "resolver")
		if err != nil {
			return err
		}
		defer remote.close()
		return failed(work(cmd.Context(), remoteConflicts{remote}))
	}
	log, err := silence(cmd)
	if err != nil {
		return err
	}
	o := peer.Options{Log: log}
	if o.Schema, err = schemaOf(f.schema); err != nil {
		return err
	}
	return f.file.use(cmd, mustExist, o, func(ctx context.Context, p *peer.Peer) error {
		return work(ctx, fileConflicts{p})
	})
}

// schemaOf reads the schema in a file, nil if none is named.
func schemaOf(path string) (*schema.Schema, error) {
	if path == "" {
		return nil, nil
	}
	b, err := readSchema(path)
	if err != nil {
		return nil, err
	}
	s, err := schema.Parse(b)
	if err != nil {
		return nil, failed(fmt.Errorf("%s: %w", path, err))
	}
	return s, nil
}

type fileConflicts struct{ p *peer.Peer }

func (c fileConflicts) list(ctx context.Context) ([]resolve.Item, error) {
	all, _, err := resolve.List(ctx, c.p, nil)
	return all, err
}

func (c fileConflicts) show(ctx context.Context, name string) (resolve.Detail, error) {
	return resolve.Show(ctx, c.p, name, nil)
}

func (c fileConflicts) settle(ctx context.Context, name string, to resolve.Choice) (resolve.Settled, error) {
	return resolve.Settle(ctx, c.p, name, nil, to)
}
