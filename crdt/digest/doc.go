// Package digest sums up what a document says, so that two peers with equal
// heads can tell whether they also read equal documents: 32 bytes that travel in
// a syncline-digest message.
//
// It is pure and stands beside id, below the document: package crdt walks the
// values that the core reads and hands them to an [Encoder] here. Its twin in
// JavaScript, by which it is tried, is bench/js/digest.mjs. All that compute
// digests must agree on each byte, for which testdata/vectors.json holds values,
// their bytes and their sums. JavaScript has to ask the core for the type of a
// number (getWithType), as its own 5 may be an int or a float.
//
// # What is summed up
//
// The SHA-256 of the document's value as one item of CBOR in the deterministic
// encoding of RFC 8949, section 4.2.1: definite lengths, each integer and length
// in its shortest form, the keys of a map in the bytewise order of their encoded
// form (for text: the shorter first, equally long ones by their bytes).
//
//	map            map, its keys text strings; the empty key is a key
//	list           array
//	text, string   text string; a text and a string that is replaced as a whole
//	               are alike, and a block marker in a text is U+FFFC
//	bytes          byte string
//	int, uint      integer: 5 is one byte, be it the one or the other
//	float          float of 64 bits, whatever its value: 5.0 is not 5, and -0.0 is
//	               not 0.0. All NaN are 7ff8000000000000
//	time           tag 1 over an integer, in milliseconds; where JavaScript has no
//	               such Date (beyond [MaxMillis] on either side), over NaN
//	counter        tag 40501 over an integer
//	bool, null     the simple values
//
// Floats are where this leaves section 4.2.1, whose preferred form of 1.5 would
// have two bytes: one width is what both ends read and what the protocol says.
//
// A value of a type that a version does not know has no bytes here: any that we
// chose would be wrong once a newer peer knows the type and sums up its meaning.
// Such a document has no digest ([ErrUnknown]), and its peers compare none.
//
// # What is not
//
// Of concurrent values of one field only the winner counts, marks on text do not,
// nor does how the document came to be. Equal heads imply equal histories, and so
// equal conflicts; a digest is to find where equal histories are read differently:
// a defect of a core, a store or a projection.
package digest
