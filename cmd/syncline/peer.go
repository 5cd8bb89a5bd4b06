package main

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"syncline/peer"
)

func peerCommand() *cobra.Command {
	var f file
	var to remotes
	var listen string
	var tokens []string
	cmd := &cobra.Command{
		Use:   "peer --db FILE --to URL… [--listen ADDR]",
		Short: "Keep a file of documents in sync with relays and peers",
		Long: "Keep the documents of a file in sync with relays and other peers, in the\n" +
			"background: changes that other verbs or programs make in the file are sent, what\n" +
			"comes is stored, lost connections are made again. The file is made if it is not\n" +
			"there. Runs until it is interrupted.",
		Example: "  syncline peer --db notes.db --to ws://127.0.0.1:3030\n" +
			"  syncline peer --db notes.db --listen 127.0.0.1:3031",
		Args: operands(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := to.list(nil)
			if err != nil {
				return err
			}
			if len(list) == 0 && listen == "" {
				return errors.New("say whom to sync with: --to URL, or --listen ADDR for others to connect to")
			}
			log, err := logger(cmd, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return f.use(cmd, madeIfNeeded, peer.Options{Remotes: list, Log: log}, func(ctx context.Context, p *peer.Peer) error {
				return runPeer(ctx, p, listen, tokens, log)
			})
		},
	}
	f.add(cmd.Flags())
	to.add(cmd.Flags())
	cmd.Flags().StringVar(&listen, "listen", "", "`ADDR`ess and port for others to connect to, such as 127.0.0.1:3031; port 0 takes a free one (SYNCLINE_LISTEN)")
	cmd.Flags().StringSliceVar(&tokens, "listen-token", nil, "`TOKEN` that those who connect must send; may be repeated; without one, none is needed (SYNCLINE_LISTEN_TOKEN)")
	return cmd
}

// runPeer syncs until ctx ends.
func runPeer(ctx context.Context, p *peer.Peer, listen string, tokens []string, log *slog.Logger) error {
	infos, err := p.Documents(ctx)
	if err != nil {
		return err
	}
	if listen != "" {
		l, err := p.Listen(ctx, listen, peer.ListenOptions{Tokens: tokens})
		if err != nil {
			return listenError(listen, err)
		}
		log.Info("peer is listening", "url", l.URL())
		if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() && len(tokens) == 0 {
			log.Warn("who reaches this address and knows a document's URL can read and change it; --listen-token asks for a token")
		}
	}
	log.Info("peer is running", "db", p.Path(), "storageId", p.StorageID(), "documents", len(infos))
	if err := p.Run(ctx); err != nil {
		return err
	}
	log.Info("peer has stopped")
	return nil
}
