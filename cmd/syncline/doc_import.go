package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"syncline/crdt"
	"syncline/crdt/check"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/peer"
)

func docImportCommand(f *file) *cobra.Command {
	var fromJSON bool
	var into string
	cmd := &cobra.Command{
		Use:   "import --db FILE [--json] [--doc DOC] FILE|-",
		Short: "Make a document of a saved one, or of JSON, and print its URL",
		Long: "Make a document of one that Automerge has saved, with its whole history, and\n" +
			"print its URL. - reads standard input.\n\n" +
			"With --json it is made of an object of collections of entities, in one change:\n" +
			"strings become text, whole numbers integers, {\"$counter\": 1} a counter,\n" +
			"{\"$time\": \"2006-01-02T15:04:05Z\"} a time, {\"$bytes\": \"base64\"} bytes.\n\n" +
			"With --doc, the changes are added to that document, which is made if it is not\n" +
			"there: so an export comes back under its own URL.",
		Example: "  syncline doc import --db notes.db notes.automerge\n" +
			"  echo '{\"items\": {\"milk\": {\"text\": \"Milk\"}}}' |\n" +
			"    syncline doc import --db notes.db --json -",
		Args: operands("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			log, err := silence(cmd)
			if err != nil {
				return err
			}
			var doc id.Document
			switch {
			case into != "" && fromJSON:
				return errors.New("--doc takes changes, not --json: syncline op adds to a document")
			case into != "":
				if doc, err = parseDocument(into); err != nil {
					return err
				}
			}
			b, err := input(cmd, args[0])
			if err != nil {
				return failed(err)
			}
			// All is looked at before anything is made.
			in := importing{name: args[0], into: doc}
			if fromJSON {
				err = in.entities(b)
			} else {
				err = in.saved(b)
			}
			if err == nil && (into == "" || f.find() != nil) {
				err = fit(nil, in.changes)
			}
			if err != nil {
				return failed(fmt.Errorf("%s: %w", in.name, err))
			}
			return f.use(cmd, madeIfNeeded, peer.Options{Log: log}, func(ctx context.Context, p *peer.Peer) error {
				d, err := in.run(ctx, p)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), d.URL())
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&fromJSON, "json", false, "the file is JSON (SYNCLINE_JSON)")
	cmd.Flags().StringVar(&into, "doc", "", "`DOC` to add the changes to, instead of a new one (SYNCLINE_DOC)")
	return cmd
}

// input reads a file, or standard input for -.
func input(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		b, err := io.ReadAll(cmd.InOrStdin())
		if err != nil {
			return nil, fmt.Errorf("cannot read standard input: %w", cause(err))
		}
		return b, nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, cause(err))
	}
	return b, nil
}

// importing is what becomes a document: changes, or operations that are one change.
type importing struct {
	name    string
	into    id.Document // zero: a new one
	changes []*chunk.Change
	bytes   []byte // the changes
	ops     []crdt.Operation
}

// run makes the document with all that is in it, or nothing.
func (in *importing) run(ctx context.Context, p *peer.Peer) (*peer.Document, error) {
	if in.changes == nil {
		return p.Create(ctx, in.ops...)
	}
	doc := in.into
	if doc == (id.Document{}) {
		doc = id.NewDocument()
	} else if err := in.fits(ctx, p); err != nil {
		return nil, err
	}
	if _, err := p.Import(ctx, doc, in.bytes); err != nil {
		return nil, err
	}
	return p.OpenDocument(ctx, doc)
}

// fits checks that the changes make a document with what is there.
func (in *importing) fits(ctx context.Context, p *peer.Peer) error {
	var there []*chunk.Change
	d, err := p.OpenDocument(ctx, in.into)
	if err == nil {
		there, err = d.Changes(ctx)
	}
	if err != nil && !errors.Is(err, peer.ErrUnknown) {
		return err
	}
	if err := fit(there, in.changes); err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	return nil
}

// saved reads a saved document.
func (in *importing) saved(b []byte) (err error) {
	if in.changes, err = chunk.ParseChunks(b); err != nil {
		return fmt.Errorf("not a document that Automerge has saved: %w", err)
	}
	if in.bytes = b; len(in.changes) == 0 {
		return errors.New("there are no changes in it")
	}
	return nil
}

// fit checks that changes make a document, together with those that are there.
func fit(there, changes []*chunk.Change) error {
	all := bodies(slices.Concat(there, changes))
	g := graph.New()
	checker := check.New(g, all)
	waiting := map[id.Hash][]int{} // by a change that they depend on
	blocked := 0
	for i := range all {
		ready := []int{i}
		for len(ready) > 0 {
			n := ready[0]
			c := all[n]
			ready = ready[1:]
			if g.Contains(c.Hash) {
				continue
			}
			if j := slices.IndexFunc(c.Deps, func(h id.Hash) bool { return !g.Contains(h) }); j >= 0 {
				waiting[c.Deps[j]] = append(waiting[c.Deps[j]], n)
				blocked++
				continue
			}
			if err := checker.Check(c); err != nil {
				return fmt.Errorf("its changes do not fit together: %w", err)
			}
			m := graph.MetaOf(c)
			m.Row = int64(n)
			if err := g.Add(m); err != nil {
				return err
			}
			checker.Added(c)
			if g.Unpublished() == checkTogether {
				g.Publish(nil)
				checker.Settle()
			}
			ready = append(ready, waiting[c.Hash]...)
			blocked -= len(waiting[c.Hash])
			delete(waiting, c.Hash)
		}
	}
	if blocked > 0 {
		return fmt.Errorf("it is not whole: %d of its changes build on changes that it does not have", blocked)
	}
	return nil
}

// checkTogether is how many changes are checked before their operations are let go
// of.
const checkTogether = 4096

// bodies are changes for a checker to read again, by their places.
type bodies []*chunk.Change

// Bodies implements check.Source.
func (b bodies) Bodies(rows []int64, yield func([]byte) bool) error {
	for _, row := range rows {
		if !yield(b[row].Raw()) {
			break
		}
	}
	return nil
}

// entities reads an object of collections of entities, and tries to make them. What
// is too much for one change becomes several, which are imported like saved ones so
// that they are stored all or not at all.
func (in *importing) entities(b []byte) error {
	ops, err := parseEntities(b)
	if err != nil || len(ops) == 0 {
		return err
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	trial := crdt.New(crdt.MintActor(secret, id.NewDocument()))
	defer trial.Close()
	var makeAll func(ops []crdt.Operation) error
	makeAll = func(ops []crdt.Operation) error {
		c, err := trial.Do(time.Now(), ops...)
		if half := len(ops) / 2; errors.Is(err, crdt.ErrTooLarge) && half > 0 {
			if err = makeAll(ops[:half]); err == nil {
				err = makeAll(ops[half:])
			}
			return err
		}
		if err != nil {
			return operationError(err)
		}
		in.changes = append(in.changes, c)
		in.bytes = append(in.bytes, c.Raw()...)
		return nil
	}
	if err := makeAll(ops); err != nil {
		return err
	}
	if len(in.changes) == 1 {
		in.changes, in.bytes, in.ops = nil, nil, ops
	}
	return nil
}

// parseEntities turns an object of collections of entities into operations that
// make them.
func parseEntities(b []byte) ([]crdt.Operation, error) {
	const want = `want an object of collections of entities, like {"items": {"milk": {"text": "Milk"}}}`
	var collections map[string]json.RawMessage
	if err := json.Unmarshal(b, &collections); err != nil {
		if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return nil, errors.New(want)
		}
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if collections == nil {
		return nil, errors.New(want)
	}
	var ops []crdt.Operation
	for _, name := range slices.Sorted(maps.Keys(collections)) {
		var entities map[string]json.RawMessage
		if json.Unmarshal(collections[name], &entities) != nil || entities == nil {
			return nil, fmt.Errorf("%q is not a collection: %s", name, want)
		}
		for _, entity := range slices.Sorted(maps.Keys(entities)) {
			fields, err := crdt.ParseFields(entities[entity])
			if err != nil {
				return nil, fmt.Errorf("%s/%s: %w", name, entity, err)
			}
			ops = append(ops, crdt.Create(name, entity, fields))
		}
	}
	return ops, nil
}
