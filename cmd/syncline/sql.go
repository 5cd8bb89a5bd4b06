package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"syncline/crdt/schema"
	"syncline/peer"
	"syncline/storage/query"
)

// sqlOptions are the flags of the verb sql.
type sqlOptions struct {
	file
	schema  string
	format  string
	live    bool
	tables  bool
	timeout time.Duration
	rows    int
}

func sqlCommand() *cobra.Command {
	o := new(sqlOptions)
	cmd := &cobra.Command{
		Use:   "sql --db FILE 'SELECT …'",
		Short: "Query the documents of a file with SQL, once or live",
		Long: "Run one statement that reads: SELECT, WITH, VALUES or EXPLAIN of SQLite. It cannot\n" +
			"write, attach files or load code. Each collection, of all documents, is a table:\n" +
			"with the columns of a schema, or with the entities as JSON in _json. Every table has\n" +
			"_doc and _id. syncline sql --tables lists what there is; a collection NAME whose\n" +
			"texts are searched has NAME_search, for MATCH and snippet (FTS4).\n\n" +
			"The schema is that of the last process that gave one. With --schema, tables that\n" +
			"were made by another are made anew, and a process that runs on the file with that\n" +
			"one answers no queries until it is started again.\n\n" +
			"Formats: table (for people; on a terminal that is the default, and no line is wider\n" +
			"than it), tabs (the default elsewhere), csv with a header, json with one array of\n" +
			"objects. NULL is NULL in a table, null in JSON and nothing elsewhere; bytes are\n" +
			"x'…', in JSON base64. With --live the result is printed again whenever a change\n" +
			"makes it another, until an interrupt: JSON in one line, others after an empty line.",
		Example: "  syncline sql --db notes.db --tables\n" +
			"  syncline sql --db notes.db \"SELECT _id, _json ->> 'text' FROM items\"\n" +
			"  syncline sql --db shop.db --live --format json 'SELECT sum(stock) FROM items'",
		Args: o.operands,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := o.peerOptions(cmd)
			if err != nil {
				return err
			}
			return o.use(cmd, mustExist, p, func(ctx context.Context, p *peer.Peer) error {
				return o.run(ctx, p, cmd.OutOrStdout(), args)
			})
		},
	}
	o.add(cmd.Flags())
	flags := cmd.Flags()
	flags.StringVar(&o.schema, "schema", "", "JSON `FILE` with the schema whose columns the tables have (SYNCLINE_SCHEMA)")
	flags.StringVar(&o.format, "format", "", "table, tabs, csv or json (SYNCLINE_FORMAT)")
	flags.BoolVar(&o.live, "live", false, "go on, and print each new result (SYNCLINE_LIVE)")
	flags.BoolVar(&o.tables, "tables", false, "list tables and columns instead (SYNCLINE_TABLES)")
	flags.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long a statement may take (SYNCLINE_TIMEOUT)")
	flags.IntVar(&o.rows, "max-rows", 1_000_000, "how many rows it may have; 10,000 at most with --live (SYNCLINE_MAX_ROWS)")
	return cmd
}

// maxLiveRows is how many rows of a live result are kept in memory.
const maxLiveRows = 10_000

func (o *sqlOptions) operands(cmd *cobra.Command, args []string) error {
	if o.tables {
		return operands()(cmd, args)
	}
	return operands("STATEMENT")(cmd, args)
}

func (o *sqlOptions) peerOptions(cmd *cobra.Command) (p peer.Options, err error) {
	switch o.format {
	case "", formatTable, formatTabs, formatCSV, formatJSON:
	default:
		return p, fmt.Errorf("--format %q: choose table, tabs, csv or json", o.format)
	}
	if o.timeout <= 0 || o.rows <= 0 {
		return p, errors.New("--timeout and --max-rows must be above zero")
	}
	if p.Log, err = silence(cmd); err != nil {
		return p, err
	}
	p.QueryLimits = query.Limits{Time: o.timeout, Rows: o.rows, Live: min(o.rows, maxLiveRows)}
	if o.schema != "" {
		b, err := readSchema(o.schema)
		if err != nil {
			return p, err
		}
		if p.Schema, err = schema.Parse(b); err != nil {
			return p, failed(fmt.Errorf("%s: %w", o.schema, err))
		}
	}
	return p, nil
}

// readSchema reads no more of a file than a schema can have.
func readSchema(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, failed(fmt.Errorf("read the schema: %w", err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, schema.MaxBytes+1))
	if err != nil {
		return nil, failed(fmt.Errorf("read the schema: %w", err))
	}
	return b, nil
}

func (o *sqlOptions) run(ctx context.Context, p *peer.Peer, w io.Writer, args []string) error {
	switch {
	case o.tables:
		return o.list(ctx, p, w)
	case o.live:
		return o.follow(ctx, p, w, args[0])
	}
	rows, err := p.Query(ctx, args[0])
	if err != nil {
		return err
	}
	defer rows.Close()
	out := newResults(w, o.format, rows.Columns())
	for rows.Next() {
		if err := out.row(rows.Values()); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return errors.Join(out.abort(), err)
	}
	return out.end()
}

// follow prints results until the process is interrupted.
func (o *sqlOptions) follow(ctx context.Context, p *peer.Peer, w io.Writer, statement string) error {
	first := true
	for result, err := range p.Live(ctx, statement) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		out := newResults(w, o.format, result.Columns)
		if !first && out.format != formatJSON {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		first, out.oneLine = false, true
		for _, row := range result.Rows {
			if err := out.row(row); err != nil {
				return err
			}
		}
		if err := out.end(); err != nil {
			return err
		}
	}
	return nil
}

// list prints the tables and their columns.
func (o *sqlOptions) list(ctx context.Context, p *peer.Peer, w io.Writer) error {
	views, err := p.Views(ctx)
	if err != nil {
		return err
	}
	out := newResults(w, o.format, []string{"table", "column", "type", "collection"})
	for _, v := range views {
		for _, c := range v.Columns {
			if err := out.row([]any{v.Name, c.Name, c.Type, v.Collection}); err != nil {
				return err
			}
		}
	}
	return out.end()
}
