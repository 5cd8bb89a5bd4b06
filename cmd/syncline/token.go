package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncline/relay/wire/access"
)

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make keys and access tokens, and look into tokens",
		Long: "Make what an access-controlled relay asks for without an issuer of your own: a\n" +
			"key, whose public half the relay is given, and access tokens signed with it.",
		Example: "  syncline token keygen --out relay.pem\n" +
			"  syncline token mint --key relay.pem --sub alice --aud relay.example --all\n" +
			"  syncline token inspect --key relay.jwks < token",
		Args: verbsBelow,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(tokenInspectCommand(), tokenKeygenCommand(), tokenMintCommand())
	return cmd
}

// minting is what token mint is told.
type minting struct {
	key      string
	claims   access.Claims
	ttl      time.Duration
	docs     []string
	prefixes []string
	all      string
}

func tokenMintCommand() *cobra.Command {
	var m minting
	cmd := &cobra.Command{
		Use:   "mint --key FILE --sub ACCOUNT --aud AUDIENCE",
		Short: "Sign an access token and print it",
		Long: "Sign an access token and print it. What it grants: documents by name, by the\n" +
			"first bytes of their ids, or all of them; write, which includes read, unless\n" +
			":read follows; and with --admin the relay's admin pages.",
		Example: "  syncline token mint --key relay.pem --sub alice --aud relay.example --doc $DOC:read\n" +
			"  syncline token mint --key relay.pem --sub ops --aud relay.example --admin --ttl 24h",
		Args: operands(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := m.read(time.Now()); err != nil {
				return err
			}
			token, err := m.sign(cmd)
			if err != nil {
				return failed(err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return failed(err)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&m.key, "key", "", "private key in PEM, a `FILE` that syncline token keygen makes, or - for standard input (SYNCLINE_KEY)")
	flags.StringVar(&m.claims.Account, "sub", "", "the `ACCOUNT` it is for (SYNCLINE_SUB)")
	flags.StringSliceVar(&m.claims.Audience, "aud", nil, "the `AUDIENCE` that the relay asks for; may be repeated (SYNCLINE_AUD, separated by commas)")
	flags.StringVar(&m.claims.Issuer, "iss", "", "the `ISSUER` that the relay asks for, if it does (SYNCLINE_ISS)")
	flags.DurationVar(&m.ttl, "ttl", time.Hour, "for how long it is good (SYNCLINE_TTL)")
	flags.StringSliceVar(&m.docs, "doc", nil, "a document, `DOC[:read|write]`; may be repeated (SYNCLINE_DOC, separated by commas)")
	flags.StringSliceVar(&m.prefixes, "prefix", nil, "documents whose ids begin with these bytes, `HEX[:read|write]`; may be repeated (SYNCLINE_PREFIX, separated by commas)")
	flags.StringVar(&m.all, "all", "", "every document: `read|write`, write if nothing is said (SYNCLINE_ALL)")
	flags.Lookup("all").NoOptDefVal = access.Write.String()
	flags.BoolVar(&m.claims.Admin, "admin", false, "the admin pages of the relay (SYNCLINE_ADMIN)")
	return cmd
}

// read makes claims of the flags.
func (m *minting) read(now time.Time) error {
	switch {
	case m.key == "":
		return errors.New("name the private key to sign with: --key FILE; syncline token keygen makes one")
	case m.claims.Account == "":
		return errors.New("say whom the token is for: --sub ACCOUNT")
	case len(m.claims.Audience) == 0:
		return errors.New("say which relay the token is for: --aud AUDIENCE, as the relay is told it")
	case m.ttl < time.Second:
		return fmt.Errorf("--ttl %s: want a second or more, such as 1h", m.ttl)
	}
	m.claims.IssuedAt, m.claims.Expires = now, now.Add(m.ttl)
	for _, arg := range m.docs {
		name, a := splitAccess(arg)
		doc, err := parseDocument(name)
		if err != nil {
			return fmt.Errorf("--doc: %w, or that with :read or :write", err)
		}
		m.grant(string(doc[:]), a)
	}
	for _, arg := range m.prefixes {
		digits, a := splitAccess(arg)
		prefix, err := access.ParsePrefix(digits)
		if err != nil {
			return fmt.Errorf("--prefix %q: %w, with :read or :write or neither", arg, err)
		}
		m.grant(prefix, a)
	}
	if m.all != "" {
		a, err := access.ParseAccess(m.all)
		if err != nil {
			return fmt.Errorf("--all %q: write --all, --all=read or --all=write", m.all)
		}
		m.grant("", a)
	}
	if len(m.claims.Documents) == 0 && !m.claims.Admin {
		return errors.New("say what the token grants: --doc, --prefix, --all or --admin")
	}
	return nil
}

func (m *minting) grant(prefix string, a access.Access) {
	m.claims.Documents = append(m.claims.Documents, access.Rule{Prefix: prefix, Access: a})
}

// splitAccess takes :read or :write off an argument; write is what goes without.
func splitAccess(arg string) (string, access.Access) {
	if i := strings.LastIndexByte(arg, ':'); i >= 0 {
		if a, err := access.ParseAccess(arg[i+1:]); err == nil {
			return arg[:i], a
		}
	}
	return arg, access.Write
}

func (m *minting) sign(cmd *cobra.Command) (string, error) {
	b, err := input(cmd, m.key)
	if err != nil {
		return "", err
	}
	k, err := access.ParseSigningKey(b)
	if err != nil {
		return "", fmt.Errorf("%s is not a key to sign with: %w", m.key, err)
	}
	return k.Sign(m.claims)
}
