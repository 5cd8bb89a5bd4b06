package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"syncline/peer"
	"syncline/peer/resolve"
	"syncline/relay/wire/access"
)

// peerFlags are what a peer is told of those who connect to it.
type peerFlags struct {
	listen string
	tokens []string
	access accessFlags
}

func peerCommand() *cobra.Command {
	var f file
	var to remotes
	var here peerFlags
	var settling resolveFlags
	cmd := &cobra.Command{
		Use:   "peer --db FILE --to URL… [--listen ADDR]",
		Short: "Keep a file of documents in sync with relays and peers",
		Long: "Keep the documents of a file in sync with relays and other peers, in the\n" +
			"background: changes that other verbs or programs make in the file are sent, what\n" +
			"comes is stored, lost connections are made again. The file is made if it is not\n" +
			"there. Runs until it is interrupted.\n\n" +
			"With --listen others connect to it as to a relay, without one. On an address that\n" +
			"others reach they need access tokens (syncline token), or a token that they and\n" +
			"this peer share, unless --open-access says that everybody may read and write\n" +
			"everything.\n\n" +
			"With --resolve it settles the conflicts that the rules of --schema decide, once they\n" +
			"have been at rest, and lists the others for syncline conflicts.",
		Example: "  syncline peer --db notes.db --to ws://127.0.0.1:3030\n" +
			"  syncline peer --db notes.db --listen 127.0.0.1:3031\n" +
			"  syncline peer --db notes.db --listen :3031 --access-keys keys.jwks --audience my-app\n" +
			"  syncline peer --db shop.db --to wss://relay.example --resolve --schema shop.json",
		Args: operands(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := to.list(nil)
			if err != nil {
				return err
			}
			if err := errors.Join(here.check(len(list), settling.on), settling.check()); err != nil {
				return err
			}
			log, err := logger(cmd, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			o, err := here.options(log)
			if err != nil {
				return err
			}
			po := peer.Options{Remotes: list, Log: log}
			var ro resolve.Options
			if po.Schema, err = schemaOf(settling.schema); err == nil {
				ro, err = settling.options(log)
			}
			if err == nil {
				err = f.use(cmd, madeIfNeeded, po, func(ctx context.Context, p *peer.Peer) error {
					ctx, stop := context.WithCancel(ctx)
					defer stop()
					wait, err := settling.start(ctx, p, ro, o.Access, stop)
					if err != nil {
						return err
					}
					err = runPeer(ctx, p, here.listen, o, log)
					stop()
					return errors.Join(err, wait())
				})
			}
			if o.Access != nil {
				err = errors.Join(err, o.Access.Close())
			}
			return err
		},
	}
	fl := cmd.Flags()
	f.add(fl)
	to.add(fl)
	fl.StringVar(&here.listen, "listen", "", "`ADDR`ess and port for others to connect to, such as 127.0.0.1:3031; port 0 takes a free one (SYNCLINE_LISTEN)")
	fl.StringSliceVar(&here.tokens, "listen-token", nil, "`TOKEN` that lets whoever sends it read and write everything; may be repeated (SYNCLINE_LISTEN_TOKEN)")
	here.access.add(fl)
	settling.add(fl)
	return cmd
}

// check says what does not go together, with so many remotes.
func (f *peerFlags) check(remotes int, resolves bool) error {
	switch {
	case f.listen == "" && remotes == 0 && !resolves:
		return errors.New("say whom to sync with: --to URL, or --listen ADDR for others to connect to")
	case f.access.open && len(f.tokens) > 0:
		return errors.New("--open-access and --listen-token contradict each other; give one of them")
	}
	return nil
}

// options are for Listen. Their Access is to be closed.
func (f *peerFlags) options(log *slog.Logger) (o peer.ListenOptions, err error) {
	o.Tokens, o.Open = f.tokens, f.access.open
	if o.Origins, err = access.NewOrigins(f.access.origins); err != nil {
		return o, err
	}
	if o.Access, err = f.access.verifier(0, log); err != nil {
		return o, failed(err)
	}
	return o, nil
}

// runPeer syncs until ctx ends.
func runPeer(ctx context.Context, p *peer.Peer, listen string, o peer.ListenOptions, log *slog.Logger) error {
	infos, err := p.Documents(ctx)
	if err != nil {
		return err
	}
	if listen != "" {
		l, err := p.Listen(ctx, listen, o)
		switch {
		case errors.Is(err, peer.ErrUnguarded):
			return fmt.Errorf("others can reach %s, and nothing says who may read and write: give --access-keys and --audience, or --listen-token; listen on 127.0.0.1; or say --open-access to let everybody in", listen)
		case err != nil:
			return listenError(listen, err)
		}
		log.Info("peer is listening", "url", l.URL(), "access", o.Access != nil || len(o.Tokens) > 0)
		if o.Open && !access.Loopback(l.Addr()) {
			warnOpen(log, l.Addr())
		}
	}
	log.Info("peer is running", "db", p.Path(), "storageId", p.StorageID(), "documents", len(infos))
	if err := p.Run(ctx); err != nil {
		return err
	}
	log.Info("peer has stopped")
	return nil
}
