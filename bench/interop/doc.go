// Package interop holds the tests that hand random documents and histories from
// native documents and peers to stock JavaScript and back: most of them as bytes,
// which is quick, a share through a relay. Both sides must have equal heads and
// equal content, also after either has saved and loaded what the other wrote;
// strings must be strings in JavaScript, and numbers keep their kinds.
//
// By default each way is gone by some thirty histories; SYNCLINE_FULL=1 makes it a
// thousand. SYNCLINE_SEED names the first seed of a run, to make a failing history
// again.
//
// Documents are compared as trees of JSON in the notation of bench/js (see
// js.Dump), in which a number is a float64, as it is for JavaScript: integers past
// 2^53 are compared after rounding. Kinds of numbers do not show there; they are
// compared on the native side once JavaScript has saved the document.
package interop
