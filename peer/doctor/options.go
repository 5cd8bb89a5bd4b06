package doctor

import (
	"context"

	"syncline/crdt/id"
)

// Options say what to look at. The zero looks at all of a file that a relay made.
type Options struct {
	// Documents to look at. nil: all.
	Documents []id.Document
	// Quick leaves out what takes longest: indexes, whether each change fits its
	// document, and Checks that are Thorough.
	Quick bool
	// Export is the directory for evidence, made when there is some. "": beside the
	// file, by its name with ".evidence".
	Export string
	// Rules are what the file's owner knows of it.
	Rules Rules
	// Checks are the owner's own.
	Checks []Check

	// Step is told of each step that Repair takes, before it does. nil: nobody is.
	Step func(what string)
}

// Rules are what a file's owner knows of it. The zero is a relay's.
type Rules struct {
	// Refetches: the owner takes the changes of a document in any order of rows, and
	// asks others for what is missing. Then a damaged row may be withdrawn.
	Refetches bool
	// KeptOut reports whether quarantine for this reason keeps a change out of the
	// graph, with what builds on it. nil: none does.
	KeptOut func(reason string) bool
	// Unfit is the reason for which a change is kept out that does not fit its
	// document. "": none is.
	Unfit string
	// Secret is the key of the store's value that names the device, and NewSecret
	// makes another. A file without that value is not the owner's: no rule and no
	// Check holds for it. "": every file is the owner's.
	Secret    string
	NewSecret func() []byte
	// Tag is what the ids of all actors of the device in a document start with.
	Tag func(secret []byte, doc id.Document) []byte
	// Start opens the file as its owner does, has it finish what a start-up has to,
	// with the given documents, and closes it.
	Start func(ctx context.Context, path string, docs []id.Document) error
}

// Check looks at something that an owner derives from a document's changes and keeps
// in the file. It is called for each document that can be read to its end.
type Check interface {
	// Thorough checks are left out of a quick look.
	Thorough() bool
	// Examine calls found with what is wrong. It reads the file by way of d and in no
	// other, since a Repair has the file for itself.
	Examine(ctx context.Context, d *Document, found func(Finding)) error
}
