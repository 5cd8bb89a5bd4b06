package js

// Op is one scripted edit. Build it with the functions below; several make one
// change. Values are what encoding/json makes of them, with the notation of
// [Dump] for what JSON lacks, and {"$int"}, {"$uint"} and {"$float"} to choose a
// number's type. A Go string becomes collaborative text.
type Op map[string]any

// Path names a place in a document: map keys and list indices.
type Path []any

// At builds a path.
func At(props ...any) Path { return props }

// Counter, Scalar, Date and Bytes are values that plain JSON lacks: a counter's
// first value, an immutable string, milliseconds since 1970, hexadecimal bytes.
func Counter(n int64) any   { return map[string]any{"$counter": n} }
func Scalar(s string) any   { return map[string]any{"$scalar": s} }
func Date(ms int64) any     { return map[string]any{"$date": ms} }
func Bytes(hexa string) any { return map[string]any{"$bytes": hexa} }

// Set puts a value at a path; Delete removes what is there.
func Set(p Path, value any) Op { return Op{"op": "set", "path": p, "value": value} }
func Delete(p Path) Op         { return Op{"op": "delete", "path": p} }

// Insert puts values into a list at an index, Push at its end, Remove takes n out.
func Insert(list Path, index int, values ...any) Op {
	return Op{"op": "insert", "path": list, "index": index, "values": values}
}
func Push(list Path, values ...any) Op { return Op{"op": "push", "path": list, "values": values} }
func Remove(list Path, index, n int) Op {
	return Op{"op": "remove", "path": list, "index": index, "del": n}
}

// Increment adds to a counter.
func Increment(p Path, by int64) Op { return Op{"op": "increment", "path": p, "by": by} }

// Splice deletes del UTF-16 units of a text at index and inserts there; Append
// inserts at its end.
func Splice(text Path, index, del int, insert string) Op {
	return Op{"op": "splice", "path": text, "index": index, "del": del, "text": insert}
}
func Append(text Path, insert string) Op { return Op{"op": "append", "path": text, "text": insert} }

// Mark puts a mark on [start, end) of a text, expanding at its end; Unmark takes
// it away.
func Mark(text Path, start, end int, name string, value any) Op {
	return Op{"op": "mark", "path": text, "start": start, "end": end, "name": name, "value": value}
}
func Unmark(text Path, start, end int, name string) Op {
	return Op{"op": "unmark", "path": text, "start": start, "end": end, "name": name}
}

// SplitBlock puts a block marker of a type into a text, UpdateBlock changes the
// one at index, JoinBlock removes it.
func SplitBlock(text Path, index int, kind string) Op {
	return Op{"op": "splitBlock", "path": text, "index": index, "value": blockValue(kind)}
}
func UpdateBlock(text Path, index int, kind string) Op {
	return Op{"op": "updateBlock", "path": text, "index": index, "value": blockValue(kind)}
}
func JoinBlock(text Path, index int) Op { return Op{"op": "joinBlock", "path": text, "index": index} }

func blockValue(kind string) any {
	return map[string]any{"type": Scalar(kind), "parents": []any{}, "attrs": map[string]any{}}
}
