package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"syncline/relay/wire/access"
)

func tokenKeygenCommand() *cobra.Command {
	var algorithm, out, jwks string
	cmd := &cobra.Command{
		Use:   "keygen --out FILE",
		Short: "Make a key to sign access tokens with",
		Long: "Make a key to sign access tokens with: the private key in PEM, for its owner's\n" +
			"eyes only, and beside it a JWKS with the public key, for the relay. To change\n" +
			"keys, add the new one to the JWKS that the relay reads with --jwks, sign with the\n" +
			"new one, and take the old one out of the JWKS when its tokens have expired.",
		Example: "  syncline token keygen --out relay.pem\n" +
			"  syncline token keygen --out relay-2.pem --jwks relay.jwks",
		Args: operands(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return errors.New("name the file for the private key: --out FILE")
			}
			switch algorithm {
			case access.EdDSA, access.ES256, access.RS256:
			default:
				return fmt.Errorf("--alg %q: choose %s, %s or %s", algorithm, access.EdDSA, access.ES256, access.RS256)
			}
			k, jwks, err := keygen(algorithm, out, jwks)
			if err != nil {
				return failed(err)
			}
			t := table{columns: []column{{name: "WHAT"}, {name: "WHERE"}}}
			t.add(text("private key"), text(out))
			t.add(text("jwks"), text(jwks))
			t.add(text("kid"), text(k.Name()))
			return failed(t.write(cmd.OutOrStdout()))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&algorithm, "alg", access.EdDSA, "what it signs with: EdDSA, ES256 or RS256 (SYNCLINE_ALG)")
	flags.StringVar(&out, "out", "", "`FILE` for the private key, which must not exist (SYNCLINE_OUT)")
	flags.StringVar(&jwks, "jwks", "", "`FILE` for the public key; added to it if it exists. Otherwise it is called as the private key with .jwks in place of .pem (SYNCLINE_JWKS)")
	return cmd
}

// keygen makes both files, or neither. jwks is "" for the one beside out, which
// then must not exist: it is that of another key.
func keygen(algorithm, out, jwks string) (k *access.SigningKey, set string, err error) {
	beside := jwks == ""
	if beside {
		jwks = strings.TrimSuffix(out, ".pem") + ".jwks"
	}
	keys, err := os.ReadFile(jwks)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		keys = nil
	case err != nil:
		return nil, "", fmt.Errorf("cannot read %s: %w", jwks, cause(err))
	case beside:
		return nil, "", fmt.Errorf("%s is there already: to add the key to it, say --jwks %[1]s", jwks)
	}
	if k, err = access.GenerateKey(algorithm); err != nil {
		return nil, "", err
	}
	if keys, err = k.AddTo(keys); err != nil {
		return nil, "", fmt.Errorf("cannot add a key to %s: %w", jwks, err)
	}
	if err := writePrivate(out, k); err != nil {
		return nil, "", err
	}
	if err := replaceFile(jwks, keys); err != nil {
		os.Remove(out)
		return nil, "", fmt.Errorf("cannot write %s: %w", jwks, cause(err))
	}
	return k, jwks, nil
}

// writePrivate writes a private key that only its owner may read, and never over
// another.
func writePrivate(path string, k *access.SigningKey) error {
	b, err := k.PEM()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and a key that is written over cannot be had back: choose another with --out", path)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, cause(err))
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
		return fmt.Errorf("cannot write %s: %w", path, cause(err))
	}
	return nil
}
