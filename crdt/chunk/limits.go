package chunk

// Limits on what is decoded. Each is far above what an editor produces and low
// enough that a few hostile bytes cannot take a machine's memory.
const (
	// MaxChangeBytes caps one change, inflated. A paste of a large file fits.
	MaxChangeBytes = 64 << 20
	// MaxDocumentBytes caps the inflated columns of one document chunk, and
	// separately the changes expanded from it: 260,000 one-edit changes take
	// 30 MB.
	MaxDocumentBytes = 512 << 20
	// MaxOps caps the operations of one change, which run-length encoding can
	// make from a few bytes: deleting two million characters at once fits.
	MaxOps = 1 << 21
	// maxFreeOps is how many operations that create something a change may hold
	// whatever its size; beyond it, opsPerByte for each of its bytes. A core
	// spends some 700 bytes on each, however little the wire did.
	maxFreeOps = 1 << 18
	opsPerByte = 8
	// A document chunk may hold freeDocumentRows operations, and as many changes,
	// whatever its size; beyond it, documentRowsPerByte for each inflated byte.
	// Text costs a byte for each character, so that histories stay far below.
	freeDocumentRows    = 1 << 19
	documentRowsPerByte = 16
	// MaxActorBytes caps an actor id; they are 16 bytes in practice.
	MaxActorBytes = 256
	// MaxDeps caps the dependencies of one change: as many peers as may have
	// edited at once.
	MaxDeps = 1 << 16
	// MaxCounter caps operation counters. The C core keeps them in 32 bits and
	// stops the process past that, on the next local edit too; JavaScript takes 64
	// bytes for each number below the largest when it loads a document, and has no
	// memory left at twice this. Both run out of memory long before a document
	// really has so many operations.
	MaxCounter = 1<<24 - 1
	// MaxSeq caps sequence numbers, which go up by one with each change.
	MaxSeq = 1<<31 - 1
	// MaxTime caps the time of a change, either way: JavaScript's dates end there,
	// in milliseconds, and differences of times must fit in 64 bits.
	MaxTime = 1 << 53
)
