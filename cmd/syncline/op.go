package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"syncline/crdt"
	"syncline/peer"
)

// opSyntax lists the operations and what they are told.
var opSyntax = []struct{ verb, operands string }{
	{"create", "COLLECTION ID JSON"},
	{"update", "COLLECTION ID JSON"},
	{"increment", "COLLECTION ID FIELD N"},
	{"splice", "COLLECTION ID FIELD POS DELETE TEXT"},
	{"delete", "COLLECTION ID"},
}

func opCommand() *cobra.Command {
	f := new(file)
	long := "Change a document by one operation, whether or not a peer is running on the\n" +
		"file, and print the hash of the change, which is on the disk then, and the operation's\n" +
		"number in this file, by which syncline doc log says how far it has come. A running\n" +
		"peer sends it on; so does syncline sync.\n\n"
	for _, s := range opSyntax {
		long += fmt.Sprintf("  op DOC %-9s %s\n", s.verb, s.operands)
	}
	cmd := &cobra.Command{
		Use:   "op --db FILE DOC OPERATION COLLECTION ID …",
		Short: "Create, update or delete an entity, step a counter, edit a text",
		Long: long + "\nJSON is an object of fields, or - for standard input. Its strings become text,\n" +
			"its whole numbers integers; {\"$counter\": 1} is a counter. POS and DELETE count\n" +
			"characters (code points). Put -- before DOC if a TEXT starts with --.",
		Example: "  syncline op --db notes.db $DOC create items milk '{\"count\": {\"$counter\": 1}}'\n" +
			"  syncline op --db notes.db $DOC increment items milk count -3",
		Args: func(_ *cobra.Command, args []string) error { return checkOperation(args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := parseDocument(args[0])
			if err != nil {
				return err
			}
			op, err := parseOperation(cmd, args[1], args[2:])
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
				r, err := d.Do(ctx, op)
				if err != nil {
					return operationError(err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\t%d\n", r.Hash, r.Sequence)
				return err
			})
		},
	}
	f.add(cmd.Flags())
	return cmd
}

// checkOperation checks that an operation is known and has all its operands.
func checkOperation(args []string) error {
	if len(args) < 2 {
		return errors.New("name a document and an operation: syncline op --db FILE DOC OPERATION …; see syncline op --help")
	}
	var verbs []string
	for _, s := range opSyntax {
		if verbs = append(verbs, s.verb); s.verb != args[1] {
			continue
		}
		names := strings.Fields(s.operands)
		switch given := args[2:]; {
		case len(given) < len(names):
			return fmt.Errorf("%s is missing: op DOC %s %s", names[len(given)], s.verb, s.operands)
		case len(given) > len(names):
			return fmt.Errorf("%q is one argument too many: op DOC %s %s", given[len(names)], s.verb, s.operands)
		}
		return nil
	}
	return fmt.Errorf("%q is not an operation: after DOC comes one of %s", args[1], strings.Join(verbs, ", "))
}

// parseOperation reads the operands of an operation; there are as many as it needs.
func parseOperation(cmd *cobra.Command, verb string, args []string) (op crdt.Operation, err error) {
	collection, entity := args[0], args[1]
	switch verb {
	case "create", "update":
		fields := []byte(args[2])
		if args[2] == "-" {
			if fields, err = input(cmd, "-"); err != nil {
				return op, failed(err)
			}
		}
		m, err := crdt.ParseFields(fields)
		if err != nil {
			return op, fmt.Errorf(`the fields %.40q: %w; write a JSON object like {"text": "Milk"}`, fields, err)
		}
		if op = crdt.Create(collection, entity, m); verb == "update" {
			op = crdt.Update(collection, entity, m)
		}
	case "increment":
		n, err := strconv.ParseInt(args[3], 10, 64)
		if err != nil {
			return op, fmt.Errorf("%q for N: want a whole number, such as 1 or -3", args[3])
		}
		op = crdt.Increment(collection, entity, args[2], n)
	case "splice":
		pos, err := strconv.Atoi(args[3])
		if err != nil || pos < 0 {
			return op, fmt.Errorf("%q for POS: want a whole number from 0, the characters before the place", args[3])
		}
		del, err := strconv.Atoi(args[4])
		if err != nil || del < 0 {
			return op, fmt.Errorf("%q for DELETE: want a whole number from 0, the characters to delete", args[4])
		}
		op = crdt.Splice(collection, entity, args[2], pos, del, args[5])
	case "delete":
		op = crdt.Delete(collection, entity)
	}
	return op, op.Validate()
}

// operationError says what to do about an operation that the document does not
// take.
func operationError(err error) error {
	reason := err
	if e, ok := errors.AsType[*crdt.OperationError](err); ok {
		reason = e.Err
	}
	switch {
	case errors.Is(err, crdt.ErrNoChange):
		return errors.New("nothing to change: the document has these values already")
	case errors.Is(err, crdt.ErrExists):
		return fmt.Errorf("%w: change it with update, or choose another ID", reason)
	case errors.Is(err, crdt.ErrNotFound):
		return fmt.Errorf("%w: syncline doc show prints what is there", reason)
	}
	return reason
}

// operandsApart puts the operands of op behind a --, so that a number or a text among
// them may start with a dash. Other commands are left as they are.
func operandsApart(args []string) []string {
	var flags, rest []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			rest = append(rest, args[i+1:]...)
			i = len(args)
		case arg == "-h" || arg == "--help" || strings.HasPrefix(arg, "--") && strings.Contains(arg, "="):
			flags = append(flags, arg)
		case strings.HasPrefix(arg, "--"):
			flags = append(flags, args[i:min(i+2, len(args))]...)
			i++
		default:
			rest = append(rest, arg)
		}
	}
	if len(rest) == 0 || rest[0] != "op" {
		return args
	}
	return append(append(append([]string{"op"}, flags...), "--"), rest[1:]...)
}
