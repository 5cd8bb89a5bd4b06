package crdt_test

import (
	"fmt"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// Two devices edit the same note, and tell each other.
func Example() {
	doc := id.NewDocument()
	laptop := crdt.New(crdt.MintActor([]byte("the laptop's secret"), doc))
	defer laptop.Close()
	now := time.Now()
	first, err := laptop.Do(now, crdt.Create("notes", "n1", map[string]any{
		"title": "Groceries", "likes": crdt.Counter(0), "items": []any{"milk"},
	}))
	if err != nil {
		fmt.Println(err)
		return
	}

	phone, err := crdt.Open(crdt.MintActor([]byte("the phone's secret"), doc), []*chunk.Change{first})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer phone.Close()
	there, err1 := phone.Do(now, crdt.Splice("notes", "n1", "title", 9, 0, " for Sunday"), crdt.Increment("notes", "n1", "likes", 1))
	here, err2 := laptop.Do(now, crdt.ListInsert("notes", "n1", "items", 1, "bread"), crdt.Increment("notes", "n1", "likes", 1))
	if err1 != nil || err2 != nil {
		fmt.Println(err1, err2)
		return
	}
	// Changes of others are checked before they come here; see package check.
	err1 = laptop.Apply([]*chunk.Change{there})
	err2 = phone.Apply([]*chunk.Change{here})
	if err1 != nil || err2 != nil {
		fmt.Println(err1, err2)
		return
	}

	one, _ := laptop.JSON()
	two, _ := phone.JSON()
	fmt.Println(string(one))
	fmt.Println(string(one) == string(two))
	for _, e := range crdt.History([]*chunk.Change{first, there}) {
		fmt.Println(e.Intent)
	}
	// Output:
	// {"notes":{"n1":{"items":["milk","bread"],"likes":2,"title":"Groceries for Sunday"}}}
	// true
	// create notes/n1
	// edit notes/n1; increment notes/n1
}

// Operations are data: they can be kept as JSON and keep the types of values.
func ExampleParseFields() {
	fields, err := crdt.ParseFields([]byte(`{"title": "Hi", "n": 1, "share": 1.0, "likes": {"$counter": 3}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%T %T %T %T\n", fields["title"], fields["n"], fields["share"], fields["likes"])
	// Output: string int64 float64 value.Counter
}
