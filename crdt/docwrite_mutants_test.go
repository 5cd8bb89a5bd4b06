package crdt_test

import (
	"bytes"
	"flag"
	"testing"

	"syncline/crdt/chunk"
)

var mutantDocumentsFlag = flag.Int("mutant-documents", 2000, "mutated histories of which TestDocumentsOfMutants writes documents")

// Changes that nobody honest wrote and that pass the checks all the same make a
// document that gives them back, and that the core loads to the same heads.
func TestDocumentsOfMutants(t *testing.T) {
	pool := basePool(t, *seedFlag)
	var mutants []*mutant
	var inputs []input
	for i := range *mutantDocumentsFlag {
		m := makeMutant(pool, changeMutators(), *seedFlag, i)
		if throughChecks(m); !m.passed {
			continue
		}
		document, err := chunk.EncodeDocument(parsed(m.accepted), nil)
		if err == nil {
			err = readOurselves(history{changes: m.accepted}, document)
		}
		if err != nil {
			t.Errorf("seed %d, mutant %d (%s): %v", *seedFlag, i, m.mutator, err)
			continue
		}
		mutants, inputs = append(mutants, m), append(inputs, input{byLoad, document})
	}
	for i, a := range newCore(t).judge(inputs) {
		m := mutants[i]
		var heads []byte
		for _, h := range m.heads {
			heads = append(heads, h[:]...)
		}
		if a.death != "" || a.verdict != fine || !bytes.Equal(a.heads, heads) {
			t.Errorf("seed %d, mutant %d (%s): %s%s, heads %x, not %x", *seedFlag, m.index, m.mutator, a.death, a.text, a.heads, heads)
		}
	}
	t.Logf("%d documents of %d mutants", len(inputs), *mutantDocumentsFlag)
}
