// Package trace reads recorded editing sessions of plain text, in the format of
// the public editing traces (josephg/editing-traces), for tests and benchmarks
// that type them again. It stands before the data's way and imports nothing of
// Syncline's.
//
// A trace is one of two kinds:
//
//   - sequential: one author; each edit follows the one before it;
//   - concurrent: several agents; each edit names its parents, and its positions
//     are those of the text that exactly the parents and their ancestors make. An
//     agent's edits always follow its own earlier ones.
//
// Positions and lengths count Unicode code points, and the patches of an edit are
// carried out one after the other, each on what the last one left.
//
// The traces are too large for the repository: see Path.
package trace
