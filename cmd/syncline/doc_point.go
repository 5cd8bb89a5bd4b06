package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/peer"
)

// pointSyntax says how a point of a document's history is written.
const pointSyntax = `POINT is a point of the document's history: now; start, before anything was in it;
the hash of a change or its first digits, for what that change saw and made, several
joined by commas; or a time, as 2006-01-02, 2006-01-02T15:04:05Z or with an offset
like +02:00, for all changes that by their authors' clocks are no later, and what
those build on.`

// point is the heads of a point of a document's history, none for its start.
func point(ctx context.Context, d *peer.Document, arg string) ([]id.Hash, error) {
	switch arg {
	case "now":
		return d.Heads(ctx)
	case "start":
		return nil, nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(form, arg); err == nil {
			return d.AsOf(ctx, t)
		}
	}
	var heads []id.Hash
	for part := range strings.SplitSeq(arg, ",") {
		if len(part) < 4 || strings.Trim(part, "0123456789abcdef") != "" {
			return nil, fmt.Errorf("%q is no point of a history: write now, start, the first digits of a change's hash (4 at least), or a time like 2006-01-02T15:04:05Z", arg)
		}
		h, err := d.FindChange(ctx, part)
		if errors.Is(err, peer.ErrNoSuchChange) {
			return nil, fmt.Errorf("%w; syncline doc history lists the changes", err)
		}
		if err != nil {
			return nil, err
		}
		heads = append(heads, h)
	}
	return heads, nil
}

// jsonAt is the document at a point, if one is given.
func jsonAt(ctx context.Context, d *peer.Document, args []string) (flat []byte, err error) {
	if len(args) == 0 {
		return d.JSON(ctx)
	}
	heads, err := point(ctx, d, args[0])
	if err != nil || len(heads) == 0 {
		return []byte("{}"), err
	}
	err = d.ReadAt(ctx, heads, func(v *crdt.View) error {
		flat, err = v.JSON()
		return err
	})
	return flat, err
}
