package peer

import (
	"context"
	"fmt"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/storage"
)

// Info is what is known of a document without opening it.
type Info struct {
	ID      id.Document
	Heads   []id.Hash // as the last process to change it knew them, ascending
	Changes int64     // in the journal; 0 for one that is new, or is to be fetched
	Bytes   int64     // of them
}

// Documents lists the documents of the store, in the order in which it first
// heard of them, those included that have no changes yet.
func (p *Peer) Documents(ctx context.Context) ([]Info, error) {
	var all []Info
	err := p.store.KnownDocuments(ctx, func(d storage.DocumentInfo) error {
		all = append(all, Info{ID: d.Doc, Heads: d.Heads, Changes: d.Changes, Bytes: d.Bytes})
		return nil
	})
	return all, err
}

// Create makes a new document, which is in the store when it returns: empty, or
// with a first change of the given operations, in one transaction with them. With an
// error, which is as that of Document.Do, there is no document.
//
// The first operations of a document make their collections with it. Two peers that do so
// before either has anything of the document make two of each, one of which wins with all
// that is in it: write the first entity before you pass the document's URL on. Collections
// that come later may be begun by any number of peers while they are apart: they are one
// (crdt.Founding), but with one that a browser's peer or another Automerge client begins.
func (p *Peer) Create(ctx context.Context, ops ...crdt.Operation) (*Document, error) {
	doc := id.NewDocument()
	if len(ops) > 0 {
		d := &Document{p, doc}
		if _, err := d.Do(ctx, ops...); err != nil {
			return nil, err
		}
		return d, nil
	}
	if err := p.store.AddDocument(ctx, doc); err != nil {
		return nil, err
	}
	p.learn(doc)
	return &Document{p, doc}, nil
}

// OpenDocument returns a document of the store; the error is ErrUnknown if it is
// not there. That costs nothing: the document is read when it is used.
func (p *Peer) OpenDocument(ctx context.Context, doc id.Document) (*Document, error) {
	if !p.knows(doc) {
		// Another process may have made it.
		if _, err := p.store.Document(ctx, doc); err != nil {
			return nil, fmt.Errorf("open document %s: %w", doc, ErrUnknown)
		}
		p.learn(doc)
	}
	return &Document{p, doc}, nil
}

// Fetch makes a document known that others may have, and asks for it on each
// connection that there is or will be, until it comes; Document.Changed says when.
// One that is known already is returned as it is.
func (p *Peer) Fetch(ctx context.Context, doc id.Document) (*Document, error) {
	p.mu.Lock()
	p.wanted[doc] = struct{}{}
	p.mu.Unlock()
	if !p.knows(doc) {
		if err := p.store.AddDocument(ctx, doc); err != nil {
			return nil, err
		}
		p.learn(doc)
		if len(p.connections()) > 0 {
			if err := p.desks.post(ctx, doc, look{}, 0); err != nil {
				return nil, err
			}
		}
	}
	return &Document{p, doc}, nil
}

// Import takes changes into a document: chunks of any type in a row, as
// Document.Save and Automerge's save write them. It returns how many of them were
// new. They are checked like those of any other peer, and those that do not fit, or
// whose dependencies are not there, are left out and logged. A document that is not
// in the store is made with its changes, in one transaction; if none is taken in,
// or with an error, it is not.
func (p *Peer) Import(ctx context.Context, doc id.Document, chunks []byte) (added int, err error) {
	changes, err := chunk.ParseChunks(chunks)
	if err != nil {
		return 0, fmt.Errorf("import into %s: %w", doc, err)
	}
	in := &importing{claim: newClaim(), changes: changes}
	if err := p.desks.post(ctx, doc, in, 0); err != nil {
		return 0, err
	}
	if err := p.await(ctx, &in.claim); err != nil {
		return 0, fmt.Errorf("import into %s: %w", doc, err)
	}
	return in.added, nil
}
