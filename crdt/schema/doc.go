// Package schema says what a document's collections hold: the fields of an entity,
// their types, which must be there, and what concurrent values of one mean together
// (package merge). A schema is the app's own, in code ([New]) or as a JSON file
// ([Parse]); an unknown key or a malformed one is refused with its place.
//
// It is pure and stands above packages value and merge, below the document. An
// operation is checked before the core sees it, so a value that does not fit is never
// journaled. What others have written is theirs: it is read, kept and synced whatever
// it is, and what does not fit the schema is shown as a [Violation].
//
// # The file
//
//	{
//	  "schema": 1,
//	  "id": "org.example.shop",
//	  "version": 2,
//	  "collections": {
//	    "orders": {"fields": {
//	      "customer": {"type": "string", "required": true},
//	      "note":     {"type": "text", "search": true},
//	      "state":    {"type": "string", "enum": ["draft", "sent", "paid"], "default": "draft", "merge": "ranked"},
//	      "paidAt":   {"type": "timestamp", "merge": "first"},
//	      "tags":     {"type": "list", "of": {"type": "string"}, "merge": "union"},
//	      "address":  {"type": "map", "fields": {"zip": {"type": "string"}}},
//	      "prices":   {"type": "map", "of": {"type": "number", "merge": "max"}},
//	      "discount": {"type": "number", "merge": "discount@2"}
//	    }},
//	    "items": {"open": true, "fields": {"stock": {"type": "counter"}}}
//	  }
//	}
//
// The first "schema" is the version of this form. The types:
//
//	text       a text that is edited character by character; a Scalar does not fit
//	string     a text or a Scalar, replaced as a whole: no splices
//	int        a whole number that int64 holds, written as int or uint
//	uint       a whole number from 0 on, written as int or uint
//	float      a float. JavaScript writes 5 as an int: number is what its apps mean
//	number     any of the three; NaN and the infinities are numbers
//	bool, bytes, timestamp, counter
//	list       of what "of" says, or of anything
//	map        of the "fields" named, or of any keys with what "of" says, or of anything
//	any        any value
//
// null fits a field that is not required, and means that there is nothing. It fits no
// counter and no element of a list or map that "of" describes.
//
//	required   the field must be there, and not be null. Where it has a default, its
//	           absence is none, so that a newer version can add it
//	enum       the strings that are allowed; of a string field, in the order that
//	           ranked goes by, the lowest first
//	default    what an absent field is read as, in the JSON of operations; it is never
//	           written. Not of counters, lists and maps
//	merge      the rule for concurrent values; see package merge. A counter has counter
//	           and nothing else, and need not say so
//	search     a text or string that a full-text index takes in
//	open       of the schema: collections that it does not name may be written too; of
//	           a collection, or of a map with fields: fields that it does not name
//
// Without open, an operation on a name that the schema does not have is refused,
// since it is a misspelling. What is there under such a name is of a newer version of
// the app, or of another app: it is no violation, and read as it is.
//
// # Versions
//
// A newer version may add collections, fields and enum values, and [Compatible] holds
// it to that. The hash is SHA-256 over the deterministic CBOR (package digest) of the
// schema's normal form: the file as maps, lists, texts, ints and bools, without what is
// false, empty or implied (the counter's merge), defaults as their typed values.
//
// Each version that has been used on a document leaves a mark in it ([Schema.Mark]),
// so that peers can tell when they read by different rules ([Schema.Compare]).
package schema
