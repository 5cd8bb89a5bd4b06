package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncline/crdt/id"
	"syncline/peer"
)

func syncCommand() *cobra.Command {
	var f file
	var to remotes
	var names []string
	s := syncing{}
	cmd := &cobra.Command{
		Use:   "sync --db FILE --to URL [--doc DOC…] [--once]",
		Short: "Sync a file's documents, and say how each stands",
		Long: "Sync the documents of a file with relays or peers, and print a line for each:\n" +
			"URL, how it stands, changes, heads, and with whom. --doc names those to be\n" +
			"synced, and fetches them if they are not in the file, which is made then.\n\n" +
			"With --once it ends when all is quiet; otherwise it goes on, prints a line when\n" +
			"a document has changed, and ends when it is interrupted. The exit code is 0 only\n" +
			"if in the end all that the file has is acknowledged, that is on the disk, at all\n" +
			"of them, and it has all that they have.",
		Example: "  syncline sync --db notes.db --to ws://127.0.0.1:3030 --once",
		Args:    operands(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range names {
				doc, err := parseDocument(name)
				if err != nil {
					return err
				}
				if !slices.Contains(s.docs, doc) {
					s.docs = append(s.docs, doc)
				}
			}
			var err error
			if s.remotes, err = to.list(s.docs); err != nil {
				return err
			}
			if len(s.remotes) == 0 {
				return errors.New("say whom to sync with: --to URL")
			}
			if s.timeout <= 0 {
				return fmt.Errorf("--timeout %s: want more than nothing, such as 30s", s.timeout)
			}
			log, err := silence(cmd)
			if err != nil {
				return err
			}
			file := mustExist
			if len(s.docs) > 0 {
				file = madeIfNeeded
			}
			s.out, s.errs = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return f.use(cmd, file, peer.Options{Log: log}, func(ctx context.Context, p *peer.Peer) error {
				s.p = p
				return s.run(ctx)
			})
		},
	}
	f.add(cmd.Flags())
	to.add(cmd.Flags())
	cmd.Flags().StringSliceVar(&names, "doc", nil, "`DOC` to sync, instead of all; may be repeated (SYNCLINE_DOC, separated by commas)")
	cmd.Flags().BoolVar(&s.once, "once", false, "end when all is quiet (SYNCLINE_ONCE)")
	cmd.Flags().DurationVar(&s.timeout, "timeout", 30*time.Second, "how long all may take to be synced (SYNCLINE_TIMEOUT)")
	return cmd
}

// syncing is one run of the verb.
type syncing struct {
	docs    []id.Document // nil: all
	remotes []peer.Remote
	once    bool
	timeout time.Duration

	p         *peer.Peer
	out, errs io.Writer
}

func (s *syncing) run(ctx context.Context) error {
	for _, doc := range s.docs {
		if _, err := s.p.Fetch(ctx, doc); err != nil {
			return err
		}
	}
	err := s.round(ctx, s.timeout)
	switch {
	case s.once && err != nil && ctx.Err() != nil:
		return errors.New("interrupted before all was synced")
	case s.once:
		return err
	case ctx.Err() == nil:
		if err != nil {
			fmt.Fprintf(s.errs, "syncline: %s; still trying, until interrupted\n", oneLine(err))
		}
		if err := s.keepOn(ctx); err != nil {
			return err
		}
	}
	// How it stands in the end. A relay that is there answers at once.
	return s.round(context.WithoutCancel(ctx), min(s.timeout, lastRound))
}

// lastRound is how long a sync that was interrupted looks whether all that was
// done has arrived.
const lastRound = 5 * time.Second

// round syncs until all is quiet, and prints how each document stands. The time is for
// what others have to answer: the file is asked without it.
func (s *syncing) round(ctx context.Context, timeout time.Duration) error {
	timed, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var all []standing
	var errs []error
	for again := true; again; {
		before, err := s.changes(ctx)
		if err != nil {
			return err
		}
		all, errs = nil, nil
		for _, r := range s.remotes {
			list, err := s.with(timed, r, timeout)
			all = append(all, list...)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", r.URL, err))
			}
		}
		// What the last one has brought, the first may lack.
		after, err := s.changes(ctx)
		again = len(s.remotes) > 1 && err == nil && timed.Err() == nil && after != before
	}
	return errors.Join(errors.Join(errs...), s.print(context.WithoutCancel(ctx), all, false))
}

// changes counts those in the file.
func (s *syncing) changes(ctx context.Context) (n int64, err error) {
	infos, err := s.p.Documents(ctx)
	for _, info := range infos {
		n += info.Changes
	}
	return n, err
}

// standing is how a document stands with a remote.
type standing struct {
	doc    id.Document
	remote string
	state  string
	why    error
}

// with syncs with one remote. The error is nil if all is synced, else it says what
// is not and why.
func (s *syncing) with(ctx context.Context, r peer.Remote, timeout time.Duration) ([]standing, error) {
	bar := progress{w: s.errs}
	results, err := s.p.Sync(ctx, peer.SyncOptions{Remotes: []peer.Remote{r}, Documents: s.docs, Progress: bar.show})
	bar.clear()
	if results == nil && err != nil { // it was not reached
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			err = ctx.Err() // a statement that was stopped does not know why
		}
		all, lerr := s.unreached(context.WithoutCancel(ctx), r.URL)
		return all, errors.Join(remoteError(err), lerr)
	}
	all := make([]standing, len(results))
	undone := 0
	var first standing // of those that no patience helps
	for i, res := range results {
		st := standing{res.Document, r.URL, string(res.Outcome), res.Err}
		switch {
		case res.Outcome == peer.SyncMissing && s.docs == nil:
			st.state = "empty" // nothing was done in it yet
		case res.Outcome == peer.SyncMissing:
			st.why = errors.New("neither this file nor the relay has it")
		}
		if st.state != "empty" && res.Outcome != peer.SyncDone {
			undone++
		}
		if res.Outcome != peer.SyncPending && first.why == nil {
			first = st
		}
		all[i] = st
	}
	switch {
	case !errors.Is(err, peer.ErrNotSynced):
		return all, remoteError(err)
	case first.why != nil:
		hint := ""
		if errors.Is(first.why, peer.ErrHeld) {
			hint = "; syncline outbox retry offers it again"
		}
		return all, fmt.Errorf("%d of %d documents are not synced: %s: %w%s", undone, len(all), first.doc.URL(), first.why, hint)
	}
	return all, fmt.Errorf("%d of %d documents were not synced within %s; give them longer with --timeout, or run it again: what has arrived is kept", undone, len(all), timeout)
}

// unreached is how the documents stand with a remote that nothing was heard of.
func (s *syncing) unreached(ctx context.Context, remote string) (all []standing, err error) {
	infos, err := s.p.Documents(ctx)
	for _, info := range infos {
		if s.docs == nil || slices.Contains(s.docs, info.ID) {
			all = append(all, standing{doc: info.ID, remote: remote, state: string(peer.SyncPending)})
		}
	}
	return all, err
}

// print writes a line for each document and remote; more says that there were such
// lines before, and their header.
func (s *syncing) print(ctx context.Context, all []standing, more bool) error {
	infos, err := s.p.Documents(ctx)
	if err != nil {
		return err
	}
	byDoc := make(map[id.Document]peer.Info, len(infos))
	for _, info := range infos {
		byDoc[info.ID] = info
	}
	t := table{more: more, columns: []column{
		{name: "DOCUMENT", least: len("automerge:") + 28}, {name: "STATE", least: 7},
		{name: "CHANGES", right: true}, {name: "HEADS", right: true}, {name: "WITH"},
	}}
	for _, st := range all {
		info := byDoc[st.doc]
		heads, err := countHeads(ctx, s.p, info)
		if err != nil {
			return err
		}
		host := strings.TrimPrefix(strings.TrimPrefix(st.remote, "ws://"), "wss://")
		t.add(text(st.doc.URL()), text(st.state), number(info.Changes), number(heads), cell{st.remote, host})
	}
	return t.write(s.out)
}

// keepOn stays connected until ctx ends, and prints a line for each document that
// has changed when all of it is acknowledged.
func (s *syncing) keepOn(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	for _, r := range s.remotes {
		if err := s.p.Connect(r); err != nil {
			return err
		}
	}
	done := make(chan error, 1)
	go func() { done <- s.p.Run(running) }()
	err := s.follow(ctx)
	stop()
	return errors.Join(err, <-done)
}

// lookEvery is how often follow looks for documents that have changed.
const lookEvery = 250 * time.Millisecond

func (s *syncing) follow(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	told := map[id.Document]int64{} // changes when last printed
	infos, err := s.p.Documents(ctx)
	for _, info := range infos {
		told[info.ID] = info.Changes
	}
	for ; err == nil; err = s.tell(ctx, told) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// tell prints the documents that have changed since they were told of, but for
// those that a remote lacks changes of.
func (s *syncing) tell(ctx context.Context, told map[id.Document]int64) error {
	infos, err := s.p.Documents(ctx)
	if err != nil || !slices.ContainsFunc(infos, func(i peer.Info) bool { return told[i.ID] != i.Changes }) {
		return err
	}
	status, err := s.p.Status(ctx)
	if err != nil {
		return err
	}
	var all []standing
	for _, d := range status.Documents {
		if told[d.ID] == d.Changes || s.docs != nil && !slices.Contains(s.docs, d.ID) {
			continue
		}
		for _, r := range status.Remotes {
			if r.State != peer.LinkConnected || d.Pending[r.StorageID] > 0 {
				continue
			}
			told[d.ID] = d.Changes
			all = append(all, standing{doc: d.ID, remote: r.URL, state: string(peer.SyncDone)})
		}
	}
	return s.print(ctx, all, true)
}

// progress says on a terminal how far a sync has come, in one line.
type progress struct {
	w     io.Writer
	shown bool
}

func (p *progress) show(done, total int) {
	if _, ok := terminal(p.w); ok && total > 0 {
		fmt.Fprintf(p.w, "\r%d of %d documents synced", done, total)
		p.shown = true
	}
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
