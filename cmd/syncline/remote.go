package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"syscall"

	"github.com/spf13/pflag"

	"syncline/crdt/id"
	"syncline/peer"
)

// remotes are the relays and peers that a verb syncs with.
type remotes struct {
	to    []string
	token string
}

func (r *remotes) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&r.to, "to", nil, "`URL` of a relay, or of a peer that listens: ws://HOST:PORT or wss://HOST; may be repeated (SYNCLINE_TO, separated by commas)")
	flags.StringVar(&r.token, "token", "", "access `TOKEN` for those (SYNCLINE_TOKEN, which other users of this machine do not see)")
}

// list reads the flags. docs are those to be synced, nil for all.
func (r *remotes) list(docs []id.Document) ([]peer.Remote, error) {
	var list []peer.Remote
	for _, to := range r.to {
		u, err := url.Parse(to)
		if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
			return nil, fmt.Errorf("--to %q is not the address of a relay: write ws://HOST:PORT or wss://HOST", to)
		}
		if !slices.ContainsFunc(list, func(r peer.Remote) bool { return r.URL == to }) {
			list = append(list, peer.Remote{URL: to, Token: r.token, Documents: docs})
		}
	}
	return list, nil
}

// remoteError says in few words why a remote could not be reached or was lost, or
// returns the error as it is.
func remoteError(err error) error {
	dns, noSuchHost := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("nothing listens there: start the relay, or see whether the address is right")
	case noSuchHost && dns.IsNotFound:
		return fmt.Errorf("there is no host %s: see whether the address is right", dns.Name)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("no answer in time: see whether the network and the relay are up")
	}
	return err
}
