package crdt_test

import (
	"fmt"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/schema"
)

// Two tills sell of the same stock while they cannot see each other. A number that is
// set, and a list that is replaced, lose the sale of one of them, whichever writes
// last; a counter and a union lose none.
func ExampleDocument_Merged_inventory() {
	shop, err := schema.Parse([]byte(`{
		"schema": 1, "id": "org.example.shop", "version": 1,
		"collections": {"items": {"fields": {
			"left":     {"type": "int",  "merge": "last"},
			"receipts": {"type": "list", "merge": "last"},
			"stock":    {"type": "counter"},
			"sales":    {"type": "list", "of": {"type": "string"}, "merge": "union"}
		}}}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	rules := crdt.Rules{Schema: shop}

	monday := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	north := crdt.New("north")
	defer north.Close()
	delivery, err := north.Do(monday, crdt.Create("items", "lamp", map[string]any{
		"left": 10, "receipts": []any{}, "stock": crdt.Counter(10), "sales": []any{},
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	south, err := crdt.Open("south", []*chunk.Change{delivery})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer south.Close()

	sell := func(till *crdt.Document, at time.Time, receipt string, n int) *chunk.Change {
		c, err := till.Do(at,
			crdt.Update("items", "lamp", map[string]any{"left": 10 - n, "receipts": []any{receipt}}),
			crdt.Increment("items", "lamp", "stock", int64(-n)),
			crdt.Set("items", "lamp", "sales", []any{receipt}))
		if err != nil {
			fmt.Println(err)
		}
		return c
	}
	one := sell(north, monday.Add(time.Hour), "N-1", 1)
	two := sell(south, monday.Add(2*time.Hour), "S-1", 2)
	if err := north.Apply([]*chunk.Change{two}); err != nil {
		fmt.Println(err)
	}
	if err := south.Apply([]*chunk.Change{one}); err != nil {
		fmt.Println(err)
	}

	for _, till := range []*crdt.Document{north, south} {
		lamp, err := till.Merged(rules, "items", "lamp")
		if err != nil {
			fmt.Println(err)
			return
		}
		f := lamp.Value.(map[string]any)
		fmt.Println("last writer:", f["left"], "left, sold with", f["receipts"])
		fmt.Println("declared:   ", f["stock"], "left, sold with", f["sales"])
	}
	// Output:
	// last writer: 8 left, sold with [S-1]
	// declared:    7 left, sold with [S-1 N-1]
	// last writer: 8 left, sold with [S-1]
	// declared:    7 left, sold with [S-1 N-1]
}

// An order is paid while a tablet, offline since the day before, still saves it as a
// draft. The tablet writes later and more often, so the core shows its draft; the
// states have an order, so that nobody who reads by the schema does.
func ExampleDocument_Merged_order() {
	shop, err := schema.Parse([]byte(`{
		"schema": 1, "id": "org.example.shop", "version": 1,
		"collections": {"orders": {"fields": {
			"state": {"type": "string", "enum": ["draft", "sent", "paid"], "merge": "ranked"}
		}}}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	rules := crdt.Rules{Schema: shop}

	monday := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	till := crdt.New("till")
	defer till.Close()
	created, err := till.Do(monday, crdt.Create("orders", "17", map[string]any{"state": "draft"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	tablet, err := crdt.Open("tablet", []*chunk.Change{created})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tablet.Close()

	if _, err := till.Do(monday.Add(time.Hour), crdt.Set("orders", "17", "state", "paid")); err != nil {
		fmt.Println(err)
		return
	}
	var late []*chunk.Change
	for i, state := range []string{"sent", "draft"} {
		c, err := tablet.Do(monday.Add(time.Duration(24+i)*time.Hour), crdt.Set("orders", "17", "state", state))
		if err != nil {
			fmt.Println(err)
			return
		}
		late = append(late, c)
	}
	if err := till.Apply(late); err != nil {
		fmt.Println(err)
		return
	}

	core, err := till.Get("orders", "17", "state")
	if err != nil {
		fmt.Println(err)
		return
	}
	order, err := till.Merged(rules, "orders", "17")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the core shows:", core)
	fmt.Println("by the schema: ", order.Value.(map[string]any)["state"])
	for _, place := range order.Contested {
		fmt.Println(place.Path, "had", len(place.Values), "values; settled:", place.Result.Settled)
	}

	// A misspelt state is refused before there is a change.
	fmt.Println(rules.Check(crdt.Set("orders", "17", "state", "payed")))
	// Output:
	// the core shows: draft
	// by the schema:  paid
	// state had 2 values; settled: true
	// operation 1 (update orders/17): not as the schema has it: orders/17/state: the text "payed": want one of draft, sent, paid
}
