package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"syncline/bench/js"
	"syncline/bench/light"
	"syncline/bench/rig"
)

// some is an update with both kinds of items, all neighbours and several digits.
func some() (update []byte, items int) {
	const client = yClients + 7
	left, right := &yID{client, 0}, &yID{client, 200}
	list := []yItem{
		{value: "a"}, {left: left, value: "b"}, {right: right, value: "c"}, {left: left, right: right, value: "d"},
		{key: "k", value: strings.Repeat("v", 300)},
	}
	return yUpdate(client, 5, list), len(list)
}

func TestUpdatesCountTheirItems(t *testing.T) {
	update, items := some()
	var got []uint64
	rig.OK(t, readYUpdate(update, func(client, upTo uint64) { got = append(got, client-yClients, upTo) }))
	if len(got) != 2 || got[0] != 7 || got[1] != uint64(5+items) {
		t.Errorf("%v", got)
	}
	rig.OK(t, readYUpdate(yNothing, func(client, upTo uint64) { t.Errorf("nothing has items of %d", client) }))
	for n := range len(update) - 1 {
		if err := readYUpdate(update[:n], func(uint64, uint64) {}); err == nil {
			t.Errorf("%d of %d bytes are taken for an update", n, len(update))
		}
	}
}

func TestClocksOfAStateVector(t *testing.T) {
	for of, want := range map[uint64]uint64{3: 9, 300: 1000, 4: 0} {
		if got, err := readYStateVector([]byte{2, 3, 9, 0xac, 2, 0xe8, 7}, of); err != nil || got != want {
			t.Errorf("client %d is at %d, %v", of, got, err)
		}
	}
	if _, err := readYStateVector([]byte{2, 3, 9}, 3); err == nil {
		t.Error("half a state vector is taken")
	}
}

// Yjs reads what is written here as it was meant.
func TestYjsReadsTheUpdates(t *testing.T) {
	js.Require(t)
	r := yjs{}.replica([16]byte{1}, 1, hearing{}).(*yReplica)
	rig.Get(r.scatter(50, 1))(t)
	rig.Get(r.record(40, 1))(t)
	var text []string // the order of the letters is that of r.letters
	for _, at := range r.letters {
		text = append(text, string(rune('a'+at.clock%26)))
	}
	want := strings.Join(text, "") + " " + strings.Join(light.Fields(40, 1), "")
	const script = `
		import * as Y from "yjs"
		import { readFileSync } from "node:fs"
		const doc = new Y.Doc()
		Y.applyUpdate(doc, readFileSync(0))
		const map = doc.getMap("map")
		process.stdout.write(doc.getText("text").toString() + " " + [...map.keys()].sort().map(k => map.get(k)).join(""))`
	cmd := exec.CommandContext(rig.Bounded(t), "node", "--input-type=module", "-e", script)
	cmd.Dir = filepath.Join(rig.Get(js.Dir())(t), "compare")
	cmd.Stdin = bytes.NewReader(yUpdate(r.client, 0, r.items))
	out := rig.Get(cmd.Output())(t)
	if string(out) != want {
		t.Errorf("Yjs reads %q, not %q", out, want)
	}
}

func FuzzYUpdate(f *testing.F) {
	update, _ := some()
	f.Add(update)
	f.Add(yNothing)
	f.Fuzz(func(t *testing.T, b []byte) {
		clients := 0
		if err := readYUpdate(b, func(uint64, uint64) { clients++ }); err == nil && clients > len(b) {
			t.Errorf("%d clients in %d bytes", clients, len(b))
		}
		readYStateVector(b, 1)
	})
}
