package crdt_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"syncline/crdt/chunk"
	"syncline/crdt/session"
)

// What the checks let through must not hurt the core: it survives, its documents
// load again with equal heads and content, and can be edited.
//
//	go test ./crdt -run TestMutants -mutants 1000000 -seed 7 -timeout 1h
//	go test ./crdt -run TestMutants -seed 7 -replay 1234 -v
func TestMutants(t *testing.T) {
	ofChanges := changeMutators()
	mutators := slices.Concat(ofChanges, documentMutators(), messageMutators())
	first, n := 0, *mutantsFlag
	if *replayFlag >= 0 {
		first, n = *replayFlag, 1
	}
	tallies, findings := run(t, first, n, mutators, throughChecks)
	for i, f := range findings {
		if i == 20 {
			t.Errorf("and %d more", len(findings)-i)
			break
		}
		t.Errorf("seed %d, mutant %d (%s): %s\n  kept in %s; replay with -seed %d -replay %d",
			*seedFlag, f.index, f.mutator, f.what, keep(t, f), *seedFlag, f.index)
	}
	table(t, tallies)
	if *replayFlag >= 0 {
		describe(t, makeMutant(basePool(t, *seedFlag), mutators, *seedFlag, first))
		return
	}

	// A check that refuses everything would pass so far.
	made, accepted := 0, 0
	for name, c := range tallies {
		if slices.ContainsFunc(ofChanges, func(m mutator) bool { return m.name == name }) || name == "several" {
			made += c.made
			accepted += c.accepted
		}
	}
	t.Logf("of %d mutated changes %d were accepted (%.1f%%)", made, accepted, 100*float64(accepted)/float64(made))
	if accepted*10 < made {
		t.Errorf("only %d of %d mutated changes were accepted: less than a tenth shows little", accepted, made)
	}
}

// changeMutators are all but those of documents and messages.
func changeMutators() []mutator {
	ms := slices.Concat(outerMutators(), opMutators())
	for i := range ms {
		ms[i].ofChange = true
	}
	return ms
}

// describe prints a mutant: each change as it was and as it is now.
func describe(t *testing.T, m *mutant) {
	throughChecks(m)
	t.Logf("mutant %d of %s by %s, %d of %d changes let through", m.index, m.base.name, m.mutator, len(m.accepted), len(m.changes))
	for i, raw := range m.changes {
		if h := hashOf(raw); m.base.has(h) {
			t.Logf("%d unchanged\n%s", i, dump(raw))
			continue
		}
		was := ""
		if i < len(m.base.changes) {
			was = "was\n" + dump(m.base.changes[i])
		}
		t.Logf("%d %snow\n%s", i, was, dump(raw))
	}
}

// Files that are known to kill the core are refused, or harmless once our checks
// have taken from them what they accept.
func TestCrashersAreRefused(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(sharedDir(t), "corpus", "crashers", "crash-*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no crash samples beside the module; set SYNCLINE_SHARED")
	}
	var inputs []input
	var names []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		chunks := [][]byte{b}
		if strings.Contains(f, "ReceiveMessage") {
			m, err := session.Decode(b)
			if err != nil {
				t.Logf("%s: %v", filepath.Base(f), err)
				continue
			}
			chunks = m.Chunks
			// Answering it must be harmless too.
			s := session.New(newReceiver().graph, nil, session.Options{})
			s.Receive(m)
			must(s.Generate(newReceiver(), 0))
		}
		r := newReceiver()
		for _, c := range chunks {
			changes, err := chunk.ParseChunks(c)
			for _, c := range changes {
				err = errors.Join(err, r.take(c))
			}
			if err != nil {
				t.Logf("%s: %.160v", filepath.Base(f), err)
			}
		}
		inputs = append(inputs, input{byEdit, concat(r.standing())})
		names = append(names, filepath.Base(f))
	}
	for i, a := range newCore(t).judge(inputs) {
		if a.death != "" || a.verdict != fine {
			t.Errorf("%s: %s%s, of what the checks let through", names[i], a.death, a.text)
		}
	}
}
