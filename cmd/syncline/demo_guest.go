package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// Who takes part natively.
const (
	guestName = "Otto"
	guestID   = "otto"
)

const (
	// defaultPace is how often the guest does something by himself. Each time that
	// nobody else has done anything he waits half as long again, up to so many times
	// as long: a page that is left open does not grow by much.
	defaultPace = 9 * time.Second
	slowestPace = 20
	// thinking is how long he takes to answer.
	thinking = 1200 * time.Millisecond
)

// guest takes part in a workspace as a native peer: it tells on the terminal what
// others do, answers, and does something of its own now and then.
type guest struct {
	*client
	device string // how its changes are known
	pace   time.Duration
	clock  func() time.Time

	seen  []id.Hash // what has been told
	item  string    // of the inventory that somebody else touched last
	turn  int       // how many things it has done by itself
	tasks int       // how many it has added
	told  string    // the last line on the terminal, without its time
}

// stay takes part until ctx ends.
func (g *guest) stay(ctx context.Context) (err error) {
	if g.seen, err = g.doc.Heads(ctx); err != nil {
		return err
	}
	pause := g.pace
	var answers []crdt.Operation
	for {
		changed := g.doc.Changed()
		more, err := g.look(ctx)
		if err == nil && len(more) > 0 {
			answers = append(answers, more...)
			pause = g.pace
		}
		wait := pause
		if len(answers) > 0 {
			wait = thinking
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
			switch {
			case len(answers) > 0:
				err = g.act(ctx, "answers", answers)
				answers = nil
			default:
				pause = min(pause*3/2, slowestPace*g.pace)
				err = g.act(ctx, "goes on", g.next(ctx))
			}
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// look tells what others have done since it looked last, and returns the answer.
func (g *guest) look(ctx context.Context) ([]crdt.Operation, error) {
	changes, err := g.doc.Changes(ctx, g.seen...)
	if err != nil {
		return nil, err
	}
	g.seen = headsOf(g.seen, changes)
	people, err := g.doc.Collection(ctx, "people")
	if err != nil {
		return nil, err
	}
	var answers []crdt.Operation
	for _, e := range crdt.History(changes) {
		if e.Device() == g.device {
			continue
		}
		g.tell(nameOf(people, e.Device()), e.Intent)
		for step := range strings.SplitSeq(e.Intent, "; ") {
			more, err := g.answer(ctx, step)
			if err != nil {
				return nil, err
			}
			answers = append(answers, more...)
		}
	}
	return answers, nil
}

// headsOf is what nothing builds on among the heads before and the changes since.
func headsOf(before []id.Hash, changes []*chunk.Change) []id.Hash {
	heads := make(map[id.Hash]bool)
	for _, h := range before {
		heads[h] = true
	}
	for _, c := range changes {
		heads[c.Hash] = true
	}
	for _, c := range changes {
		for _, dep := range c.Deps {
			delete(heads, dep)
		}
	}
	return slices.Collect(maps.Keys(heads))
}

// answer is what the guest does about a step that somebody else did, by its intent:
// "create todos/4f2a".
func (g *guest) answer(ctx context.Context, step string) ([]crdt.Operation, error) {
	verb, what, _ := strings.Cut(step, " ")
	collection, entity, _ := strings.Cut(what, "/")
	switch {
	case collection == "todos" && verb == "create":
		title, err := g.title(ctx, entity)
		if err != nil || title == "" {
			return nil, err
		}
		g.tasks++
		return []crdt.Operation{crdt.Create("todos", "otto-"+strconv.Itoa(g.tasks), map[string]any{
			"title": "Help with “" + cut(title, 60) + "”", "state": crdt.Scalar("todo"), "priority": 2, "owner": crdt.Scalar(guestID)})}, nil
	case collection == "inventory" && verb != "delete":
		g.item = entity
	case collection == "notes":
		return g.count(ctx)
	}
	return nil, nil
}

// count keeps a task that says how long the notes are.
func (g *guest) count(ctx context.Context) ([]crdt.Operation, error) {
	notes, err := g.doc.Entity(ctx, "notes", "shared")
	if err != nil {
		return nil, ignoreMissing(err)
	}
	body, _ := notes["body"].(string)
	title := fmt.Sprintf("Read the notes: %d words now", len(strings.Fields(body)))
	have, err := g.title(ctx, "otto-notes")
	switch {
	case err != nil || have == title:
		return nil, err
	case have == "":
		return []crdt.Operation{crdt.Create("todos", "otto-notes", map[string]any{
			"title": title, "state": crdt.Scalar("doing"), "priority": 3, "owner": crdt.Scalar(guestID)})}, nil
	}
	return []crdt.Operation{crdt.Set("todos", "otto-notes", "title", title)}, nil
}

// next is what the guest does by himself: a task of his goes on, or what somebody
// touched in the inventory last gets another price, tag or stage. Somebody who edits
// the same offline has a set of concurrent values when he comes back.
func (g *guest) next(ctx context.Context) []crdt.Operation {
	g.turn++
	if g.turn%3 == 0 {
		if ops := g.onward(ctx); ops != nil {
			return ops
		}
	}
	entity := g.item
	if entity == "" {
		entity = []string{"gas", "aid", "tent"}[g.turn%3]
	}
	item, err := g.doc.Entity(ctx, "inventory", entity)
	if err != nil || item == nil {
		g.item = ""
		return nil
	}
	switch g.turn % 4 {
	case 0:
		return []crdt.Operation{crdt.Increment("inventory", entity, "count", 1)}
	case 2:
		tag := crdt.Scalar([]string{"light", "shared", "checked", "spare"}[g.turn/4%4])
		tags, _ := item["tags"].([]any)
		if len(tags) < 4 {
			return []crdt.Operation{crdt.Set("inventory", entity, "tags", append(tags[:len(tags):len(tags)], tag))}
		}
	}
	price, _ := item["price"].(float64)
	price = math.Round(100*(price+0.25*float64(1+g.turn%5))) / 100
	return []crdt.Operation{crdt.Set("inventory", entity, "price", price)}
}

// onward moves one of the guest's tasks to the next column, and removes one that
// is done and that he added himself.
func (g *guest) onward(ctx context.Context) []crdt.Operation {
	todos, err := g.doc.Collection(ctx, "todos")
	if err != nil {
		return nil
	}
	for i := g.tasks; i > 0; i-- {
		name := "otto-" + strconv.Itoa(i)
		task, ok := todos[name].(map[string]any)
		if !ok {
			continue
		}
		switch word(task["state"]) {
		case "todo":
			return []crdt.Operation{crdt.Set("todos", name, "state", crdt.Scalar("doing"))}
		case "doing":
			return []crdt.Operation{crdt.Set("todos", name, "state", crdt.Scalar("done"))}
		}
		return []crdt.Operation{crdt.Delete("todos", name)}
	}
	return nil
}

// act does operations and tells it. What somebody else has removed meanwhile is let be.
func (g *guest) act(ctx context.Context, how string, ops []crdt.Operation) error {
	if len(ops) == 0 {
		return nil
	}
	r, err := g.doc.Do(ctx, ops...)
	if err != nil {
		if ctx.Err() == nil {
			g.d.log.Debug("the guest's edit was refused", "doc", g.doc.ID(), "err", err)
		}
		return nil
	}
	g.tell(guestName+" "+how, r.Intent)
	return nil
}

// tell says what somebody has done. Of the same several times in a row, as the
// letters of a text are, the first is told.
func (g *guest) tell(who, intent string) {
	if intent == "" {
		intent = "a change"
	}
	line := fmt.Sprintf("%-14s %s", printable(cut(who, 14)), printable(cut(intent, 50)))
	if line == g.told {
		return
	}
	g.told = line
	g.d.say("  %s  %s\n", g.clock().Format(time.TimeOnly), line)
}

// title is that of a task, or "" if there is none.
func (g *guest) title(ctx context.Context, task string) (string, error) {
	t, err := g.doc.Entity(ctx, "todos", task)
	return word(t["title"]), ignoreMissing(err)
}

// ignoreMissing leaves out that somebody has removed a thing meanwhile.
func ignoreMissing(err error) error {
	if errors.Is(err, crdt.ErrNotFound) {
		return nil
	}
	return err
}

// nameOf is what the one with a device calls himself.
func nameOf(people map[string]any, device string) string {
	for _, p := range people {
		if p, ok := p.(map[string]any); ok && word(p["device"]) == device {
			return word(p["name"])
		}
	}
	return "Somebody"
}

// word is a value that is a text of either kind, or "".
func word(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case crdt.Scalar:
		return string(v)
	}
	return ""
}
