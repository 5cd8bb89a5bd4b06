package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncline/peer"
)

func statusCommand() *cobra.Command {
	f := new(file)
	s := showing{}
	cmd := &cobra.Command{
		Use:   "status --db FILE [--json] [--watch]",
		Short: "Say what of a file is not yet elsewhere, and how its remotes are reached",
		Long: "Print a line for each remote of a file, whether or not a peer is running on it:\n" +
			"time (UTC), changes that no other end is known to have, age of the first of\n" +
			"them, the remote, how it is reached, changes that it is not known to have, what\n" +
			"went wrong since the peer was started, by class, and the last reason. How a\n" +
			"remote is reached:\n\n" +
			"  connected, connecting\n" +
			"  waiting   for the next attempt\n" +
			"  offline   until the network has a way to it\n" +
			"  stopped   another attempt would not help: see syncline outbox list\n" +
			"  idle      no peer is running on the file\n\n" +
			"On a terminal it also says where what should be equal is not: documents that\n" +
			"another end reads otherwise, and numbers of an actor that were used twice.\n\n" +
			"With --watch it goes on and prints lines when something has changed, until it is\n" +
			"interrupted. With --json it prints one object a line, with the documents, the\n" +
			"counters and all else that is known. If the output is not a terminal, fields are\n" +
			"separated by tabs.",
		Example: "  syncline status --db notes.db --watch",
		Args:    operands(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.every <= 0 {
				return fmt.Errorf("--every %s: want more than nothing, such as 1s", s.every)
			}
			log, err := silence(cmd)
			if err != nil {
				return err
			}
			s.out = cmd.OutOrStdout()
			return f.use(cmd, mustExist, peer.Options{Log: log}, func(ctx context.Context, p *peer.Peer) error {
				s.p = p
				return s.run(ctx)
			})
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().BoolVar(&s.json, "json", false, "print JSON (SYNCLINE_JSON)")
	cmd.Flags().BoolVar(&s.watch, "watch", false, "go on, and print what changes (SYNCLINE_WATCH)")
	cmd.Flags().DurationVar(&s.every, "every", time.Second, "how often --watch looks (SYNCLINE_EVERY)")
	return cmd
}

// showing is one run of the verb.
type showing struct {
	json, watch bool
	every       time.Duration

	p    *peer.Peer
	out  io.Writer
	last string // what was printed, but for what the time alone changes

	diverged string // as it was last printed
}

func (s *showing) run(ctx context.Context) error {
	if err := s.show(ctx); err != nil || !s.watch {
		return err
	}
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if err := s.show(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// show prints how things stand, if that has changed.
func (s *showing) show(ctx context.Context) error {
	now := time.Now()
	status, err := s.p.Status(ctx)
	if err != nil {
		return err
	}
	rows := statusRows(status)
	width, people := terminal(s.out)
	if width <= 0 {
		width = 80
	}
	diverged := divergedText(status, width)
	steady := fmt.Sprint(status.Unacknowledged, status.Running, rows, diverged)
	first := s.last == ""
	if steady == s.last {
		return nil
	}
	s.last = steady
	if s.json {
		return json.NewEncoder(s.out).Encode(statusJSON(status, now))
	}
	oldest := text("-")
	if !status.Oldest.IsZero() {
		oldest = text(now.Sub(status.Oldest).Round(time.Second).String())
	}
	t := table{more: !first, columns: []column{
		{name: "TIME"}, {name: "PENDING", right: true}, {name: "OLDEST", right: true, least: 6}, {name: "REMOTE"},
		{name: "STATE", least: 10}, {name: "LACKS", right: true}, {name: "RETRIES", least: 12}, {name: "WHY"},
	}}
	at := cell{now.UTC().Format(time.RFC3339), now.UTC().Format(time.TimeOnly)}
	for _, r := range rows {
		t.add(append([]cell{at, number(int64(status.Unacknowledged)), oldest}, r...)...)
	}
	if err := t.write(s.out); err != nil || !people || diverged == s.diverged {
		return err
	}
	s.diverged = diverged
	_, err = io.WriteString(s.out, diverged)
	return err
}

// statusRows are the parts of the lines that are about a remote each.
func statusRows(s peer.Status) (rows [][]cell) {
	for _, r := range s.Remotes {
		host := strings.TrimPrefix(strings.TrimPrefix(r.URL, "ws://"), "wss://")
		rows = append(rows, []cell{{r.URL, host}, text(string(r.State)), number(int64(r.Pending)), text(retriesText(r.Retries)), {reasonOf(r), shortReasons[r.Class]}})
	}
	if rows == nil {
		rows = append(rows, []cell{text("-"), text("-"), number(0), text("-"), text("no remote was ever synced with")})
	}
	return rows
}

func reasonOf(r peer.RemoteStatus) string {
	if r.Reason == "" && r.Dead > 0 {
		return fmt.Sprintf("%d documents are held back: see syncline outbox list", r.Dead)
	}
	return strings.ReplaceAll(r.Reason, "\n", "; ")
}

// shortReasons are what is said to people in place of a whole error.
var shortReasons = map[peer.Class]string{
	peer.ClassResolve: "its name is not found", peer.ClassNoRoute: "there is no way to it", peer.ClassRefused: "nothing listens there",
	peer.ClassTLS: "its certificate is not good", peer.ClassTimeout: "no answer in time", peer.ClassLost: "the connection was lost",
	peer.ClassUnauthorised: "it does not take the token", peer.ClassDraining: "it is shutting down",
	peer.ClassStorageFull: "changes cannot be stored",
}

// retriesText lists how often something went wrong, by class.
func retriesText(retries map[peer.Class]int64) string {
	var list []string
	for _, class := range slices.Sorted(maps.Keys(retries)) {
		if n := retries[class]; n > 0 {
			list = append(list, fmt.Sprintf("%s %d", class, n))
		}
	}
	if list == nil {
		return "-"
	}
	return strings.Join(list, ", ")
}

// The JSON of a status. Times are in RFC 3339, durations in seconds; hashes and
// documents as elsewhere.
type (
	jsonStatus struct {
		Time           time.Time      `json:"time"`
		File           string         `json:"file"`
		StorageID      string         `json:"storageId"`
		Running        int            `json:"running"`
		Pending        int            `json:"pending"`
		OldestSeconds  float64        `json:"oldestPendingSeconds"`
		Remotes        []jsonRemote   `json:"remotes"`
		Clients        []jsonClient   `json:"clients"`
		Documents      []jsonDocument `json:"documents"`
		Conflicts      *jsonConflicts `json:"conflicts,omitempty"` // of a peer that resolves
		Mismatches     []jsonMismatch `json:"mismatches,omitempty"`
		Counters       jsonCounters   `json:"counters"`
		Reconciliation []jsonBucket   `json:"reconciliation"`
	}
	jsonRemote struct {
		URL       string               `json:"url"`
		State     peer.LinkState       `json:"state"`
		Since     *time.Time           `json:"since,omitempty"`
		Pending   int                  `json:"pending"`
		Failures  int                  `json:"failures"`
		Class     peer.Class           `json:"class,omitempty"`
		Reason    string               `json:"reason,omitempty"`
		Next      *time.Time           `json:"next,omitempty"`
		StorageID string               `json:"storageId,omitempty"`
		Retries   map[peer.Class]int64 `json:"retries"`
		Waiting   int                  `json:"waiting"`
		Dead      int                  `json:"dead"`
		Dropped   int                  `json:"dropped"`
		jsonTraffic
	}
	jsonClient struct {
		PeerID    string `json:"peerId"`
		StorageID string `json:"storageId,omitempty"`
		Documents int    `json:"documents"`
		jsonTraffic
	}
	jsonTraffic struct {
		BytesIn    int64 `json:"bytesIn"`
		BytesOut   int64 `json:"bytesOut"`
		ChangesIn  int64 `json:"changesIn"`
		ChangesOut int64 `json:"changesOut"`
	}
	jsonDocument struct {
		Document    string         `json:"document"`
		Changes     int64          `json:"changes"`
		Bytes       int64          `json:"bytes"`
		Heads       int            `json:"heads"`
		Pending     int            `json:"pending"`
		Lacking     map[string]int `json:"lacking,omitempty"` // by storage id
		Quarantined int            `json:"quarantined"`
		Divergences int            `json:"divergences"`
	}
	jsonCounters struct {
		MessagesIn     int64                     `json:"messagesReceived"`
		MessagesOut    int64                     `json:"messagesSent"`
		BytesIn        int64                     `json:"receivedBytes"`
		BytesOut       int64                     `json:"sentBytes"`
		ChangesIn      int64                     `json:"changesReceived"`
		ChangesOut     int64                     `json:"changesSent"`
		ChangesRefused int64                     `json:"changesRejected"`
		CommitFailures int64                     `json:"commitFailures"`
		Retries        map[peer.Class]int64      `json:"retries"`
		Divergences    map[peer.Divergence]int64 `json:"divergences"`
		ByRule         int64                     `json:"conflictsSettledByRule"`
		ByPerson       int64                     `json:"conflictsSettledByPerson"`
	}
	jsonConflicts struct {
		Unsettled int `json:"unsettled"` // left for a person
		Due       int `json:"due"`       // to be settled by rule
		Held      int `json:"held"`      // documents that are not settled by the schema
	}
	jsonMismatch struct { // a document that another end with equal heads reads otherwise
		Document string       `json:"document"`
		Ours     string       `json:"ours"` // digests
		Theirs   string       `json:"theirs"`
		Peer     string       `json:"peer"`
		Time     time.Time    `json:"time"`
		Verdict  peer.Verdict `json:"verdict"`
	}
	jsonBucket struct {
		Seconds *float64 `json:"atMostSeconds"` // null: longer than all
		Count   int64    `json:"count"`
	}
)

func statusJSON(s peer.Status, now time.Time) jsonStatus {
	n := s.Counters
	j := jsonStatus{
		Time: now.UTC(), File: s.Path, StorageID: s.StorageID, Running: s.Running, Pending: s.Unacknowledged,
		Remotes: []jsonRemote{}, Clients: []jsonClient{}, Documents: []jsonDocument{},
		Counters: jsonCounters{
			n.MessagesIn, n.MessagesOut, n.BytesIn, n.BytesOut, n.ChangesIn, n.ChangesOut,
			n.ChangesRefused, n.CommitFailures, n.Retries, n.Divergences, n.SettledByRule, n.SettledByPerson,
		},
	}
	if s.Resolving != nil {
		j.Conflicts = &jsonConflicts{s.Resolving.Unsettled, s.Resolving.Due, s.Resolving.Held}
	}
	if !s.Oldest.IsZero() {
		j.OldestSeconds = max(0, now.Sub(s.Oldest).Seconds())
	}
	for _, r := range s.Remotes {
		j.Remotes = append(j.Remotes, jsonRemote{
			r.URL, r.State, given(r.Since), r.Pending, r.Failures, r.Class, r.Reason, given(r.Next), r.StorageID, r.Retries,
			r.Waiting, r.Dead, r.Dropped, jsonTraffic(r.Traffic),
		})
	}
	for _, c := range s.Clients {
		j.Clients = append(j.Clients, jsonClient{c.PeerID, c.StorageID, c.Documents, jsonTraffic(c.Traffic)})
	}
	for _, d := range s.Documents {
		j.Documents = append(j.Documents, jsonDocument{
			d.ID.URL(), d.Changes, d.Bytes, len(d.Heads), d.Unacknowledged, d.Pending, len(d.Quarantined), d.Divergences,
		})
	}
	for _, m := range s.Mismatches {
		j.Mismatches = append(j.Mismatches, jsonMismatch{m.Document.URL(), m.Ours, m.Theirs, m.Peer, m.Time.UTC(), m.Verdict})
	}
	for i, count := range n.Reconciliation.Counts {
		b := jsonBucket{Count: count}
		if i < len(n.Reconciliation.Bounds) {
			s := n.Reconciliation.Bounds[i].Seconds()
			b.Seconds = &s
		}
		j.Reconciliation = append(j.Reconciliation, b)
	}
	return j
}

// given is a time, or nil if there is none.
func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
