package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncline/crdt/id"
	"syncline/relay/wire/access"
)

func tokenInspectCommand() *cobra.Command {
	var keys, audience, issuer string
	cmd := &cobra.Command{
		Use:   "inspect [TOKEN|-]",
		Short: "Show what an access token says, and whether it is good",
		Long: "Show what an access token says. With --key also whether a relay with those keys\n" +
			"would take it, and why not; the exit code is 0 only if it would. The token is read\n" +
			"from standard input unless it is given, as other users of this machine could see.",
		Example: "  syncline token inspect --key relay.jwks < token",
		Args:    operands("[TOKEN]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			token := "-"
			if len(args) > 0 {
				token = args[0]
			}
			if token == "-" {
				b, err := input(cmd, token)
				if err != nil {
					return failed(err)
				}
				token = string(bytes.TrimSpace(b))
			}
			return failed(inspect(cmd, token, access.Options{KeyFile: keys, Audience: audience, Issuer: issuer}))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&keys, "key", "", "public keys to verify it with: a `FILE` in PEM or a JWKS, or the URL of a JWKS (SYNCLINE_KEY)")
	flags.StringVar(&audience, "aud", "", "the `AUDIENCE` that the relay asks for; otherwise it is not checked (SYNCLINE_AUD)")
	flags.StringVar(&issuer, "iss", "", "the `ISSUER` that the relay asks for; otherwise it is not checked (SYNCLINE_ISS)")
	return cmd
}

// inspect prints a token, and fails if a relay would refuse it.
func inspect(cmd *cobra.Command, token string, o access.Options) error {
	u, err := access.Decode(token)
	if err != nil {
		return err
	}
	verdict := u.Malformed
	t := table{columns: []column{{name: "WHAT"}, {name: "VALUE"}}}
	switch {
	case o.KeyFile != "":
		if verdict, err = verify(cmd.Context(), token, u, o); err != nil {
			return err
		}
		if verdict == nil {
			t.add(text("verified"), text("yes"))
		} else {
			t.add(text("verified"), text("no: "+verdict.Error()))
		}
	case verdict != nil:
		t.add(text("verified"), text("no: "+verdict.Error()))
	default:
		t.add(text("verified"), text("not checked; name the relay's keys with --key"))
	}
	t.add(text("algorithm"), text(u.Algorithm))
	t.add(text("key"), text(u.Key))
	if u.Malformed != nil {
		t.add(text("claims"), text(string(u.Payload)))
	} else {
		tellClaims(&t, u.Claims, time.Now())
	}
	if err := t.write(cmd.OutOrStdout()); err != nil {
		return err
	}
	if verdict != nil {
		return fmt.Errorf("a relay would refuse this token: %w", verdict)
	}
	return nil
}

// verify does what a relay does with a token; err is why it could not be done.
func verify(ctx context.Context, token string, u access.Unverified, o access.Options) (verdict, err error) {
	if strings.HasPrefix(o.KeyFile, "https://") || strings.HasPrefix(o.KeyFile, "http://") {
		o.JWKSURL, o.KeyFile = o.KeyFile, ""
	}
	if o.Audience == "" {
		o.Audience = "any" // claims that have none are refused all the same
		if len(u.Claims.Audience) > 0 && u.Claims.Audience[0] != "" {
			o.Audience = u.Claims.Audience[0]
		}
	}
	v, err := access.New(o)
	if err != nil {
		return nil, err
	}
	_, verdict = v.Verify(ctx, token, time.Now())
	if err := v.Close(); err != nil {
		return nil, err
	}
	if errors.Is(verdict, access.ErrUnavailable) {
		return nil, fmt.Errorf("there are no keys to be had from %s: see whether it is up and a JWKS", o.JWKSURL)
	}
	return verdict, nil
}

// tellClaims adds a line for each claim that counts.
func tellClaims(t *table, c access.Claims, now time.Time) {
	t.add(text("account"), text(c.Account))
	t.add(text("audience"), text(strings.Join(c.Audience, ", ")))
	if c.Issuer != "" {
		t.add(text("issuer"), text(c.Issuer))
	}
	for _, at := range []struct {
		name string
		when time.Time
	}{{"issued", c.IssuedAt}, {"not before", c.NotBefore}, {"expires", c.Expires}} {
		if !at.when.IsZero() {
			t.add(text(at.name), text(at.when.UTC().Format(time.RFC3339)+fromNow(at.when.Sub(now))))
		}
	}
	for _, r := range c.Documents {
		what := "documents " + hex.EncodeToString([]byte(r.Prefix)) + "…"
		switch len(r.Prefix) {
		case 0:
			what = "every document"
		case len(id.Document{}):
			what = id.Document([]byte(r.Prefix)).URL()
		}
		t.add(text(r.Access.String()), text(what))
	}
	if c.Admin {
		t.add(text("admin"), text("yes"))
	}
}

// fromNow says how far away a time is, to the second.
func fromNow(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d == 0:
		return " (now)"
	case d < 0:
		return fmt.Sprintf(" (%s ago)", -d)
	}
	return fmt.Sprintf(" (in %s)", d)
}
