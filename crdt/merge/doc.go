// Package merge chooses one value out of those that concurrent changes have given a
// field: the core keeps them all, a rule that the app declares says what they mean
// together. It is a projection: nothing is written, the bytes of the document are the
// same with it and without it, and whoever writes the field next replaces all of the
// values at once.
//
// It is pure and stands above package value, below the schema (which says what field
// has what rule) and the document (which hands over the sets). The same rules are in
// TypeScript; testdata/vectors.json holds sets and results that both must agree on. The
// twin by which this package is tried is bench/js/merge.mjs.
//
// # The set
//
// A [Candidate] is a value, the id of the operation that has written it, and the time
// of its change in seconds. What is chosen depends on the set alone: not on the order
// in which it is given, nor on how often a candidate is in it. The larger of two
// operation ids is that of the larger counter, then of the larger actor by its bytes:
// the candidate with the largest is the one that every Automerge app shows, here
// called the winner. Values are compared by [value.Compare], and are one if that says
// so (ints and uints of one amount, for instance). If a mistake gives one id two values,
// the larger one counts, then the later time.
//
// If there is but one value, however many have written it, it is the value, settled,
// and no rule is asked. Only All makes a list of it.
//
// # The rules
//
//	""        none: the winner, left for a person
//	winner    the winner, as good as any other
//	counter   of a counter, to which concurrent increments add up in the core. What is
//	          left is that two have set it. The winner, left for a person: the core
//	          adds each later increment to every one of the values, so that a sum
//	          would count it twice, and to write any value would undo increments that
//	          are under way
//	max, min  the last or first by value.Compare, of one kind: numbers if there are
//	          any, else times, texts, bytes, bools. NaN and times beyond those that
//	          JavaScript has a Date for do not fit
//	union     of lists: the winner's elements, then those that only others have, in the
//	          order of value.Compare, each once, as the one with the larger operation
//	          id wrote it. Of maps: all keys; where entries of one key differ, that of
//	          the larger operation id, left for a person. If there are lists and maps,
//	          the kind of the larger operation id
//	ranked    the text that stands last among the rule's states
//	last      the latest time, then the larger operation id
//	first     the earliest time, then the smaller operation id
//	all       the list of all values, in the order of value.Compare, each once as in
//	          union; left for a person if they are several
//	name@3    the app's function of that name and version
//
// Of candidates that a rule finds equal, the one with the larger operation id is
// taken. Times are used as they stand, also those far ahead of any clock; those beyond
// 2^53-1 seconds on either side of 1970, which JavaScript cannot count, are taken as that.
//
// # What does not fit
//
// A rule chooses among the values that it was made for. If there are others (a text
// under max, a state that a newer version of the app has added), they are named as
// misfits, and the choice is left for a person: to settle it would write over what
// this peer does not understand. If none fits, the value is the winner.
//
// The same goes for a function that this peer does not have, and for one that panics
// or returns what is no value: the winner is shown, left for a person.
package merge
