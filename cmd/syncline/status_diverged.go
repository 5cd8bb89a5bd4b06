package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"syncline/peer"
)

// What a status tells people below its table: where what should be equal is not. It is
// seldom there, so it has no columns.

// maxDiverged is how many documents are told of by name.
const maxDiverged = 5

// verdicts are what came of loading a document anew.
var verdicts = map[peer.Verdict]string{
	peer.VerdictRebuilt: "it was wrong here and has been loaded anew",
	peer.VerdictSound:   "loaded anew it is the same here, so the other end is wrong or runs another program",
	peer.VerdictUnread:  "it could not be loaded anew here",
}

// divergedText says what has diverged, in lines; "" if nothing has.
func divergedText(s peer.Status, width int) string {
	var items []string
	for _, m := range s.Mismatches {
		items = append(items, fmt.Sprintf("%s reads otherwise at %s, with equal heads, since %s: %s",
			m.Document.URL(), printable(m.Peer), m.Time.UTC().Format(time.DateTime), verdicts[m.Verdict]))
	}
	for _, d := range s.Documents {
		if d.Divergences > 0 {
			numbers := "a number of an actor stands"
			if d.Divergences > 1 {
				numbers = fmt.Sprintf("%d numbers of actors stand", d.Divergences)
			}
			items = append(items, fmt.Sprintf("%s: %s for several changes, %s in quarantine", d.ID.URL(), numbers, counted(len(d.Quarantined), "change")))
		}
	}
	var b strings.Builder
	if counts := divergences(s.Counters.Divergences); counts != "" {
		wrap(&b, width, "", "Divergences since the peer was started: "+counts)
	} else if len(items) > 0 {
		b.WriteString("Divergences:\n")
	}
	for _, item := range items[:min(len(items), maxDiverged)] {
		wrap(&b, width, "  ", item)
	}
	if n := len(items) - maxDiverged; n > 0 {
		wrap(&b, width, "  ", fmt.Sprintf("and %d more, which --json lists", n))
	}
	if b.Len() > 0 {
		wrap(&b, width, "  ", "What is wrong with a file: syncline doctor --db "+s.Path)
	}
	return b.String()
}

// divergences lists how often something diverged, by kind.
func divergences(counts map[peer.Divergence]int64) string {
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[kind]; n > 0 {
			list = append(list, fmt.Sprintf("%s %d", kind, n))
		}
	}
	return strings.Join(list, ", ")
}
