package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/storage"
)

// Where a workspace document has its list: documents/<document id> is
// {name, url}. The entity self stands for the workspace, so that the collection
// is there before anybody shares it.
const (
	workspaceCollection = "documents"
	workspaceSelf       = "workspace"
	keyWorkspace        = "workspace"
)

// Workspace is a document that lists a person's documents: who has its URL, has
// them all. It is a document like others, of the form
//
//	{"documents": {"<document id>": {"name": "Shopping", "url": "automerge:…"}, …}}
type Workspace struct{ *Document }

// WorkspaceEntry is a document that a workspace lists.
type WorkspaceEntry struct {
	Document id.Document
	Name     string
}

// Workspace opens the store's workspace. With a URL it becomes the store's, and is
// fetched if it is not there; without one, the store's is opened, or made if it
// has none. From then on Run and Sync fetch what it lists.
func (p *Peer) Workspace(ctx context.Context, url string) (*Workspace, error) {
	w, err := p.openWorkspace(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("workspace: %w", err)
	}
	p.mu.Lock()
	old := p.workspace
	p.workspace = w
	p.mu.Unlock()
	if old != nil {
		p.notify(old.doc) // wakes who follows it
	}
	select {
	case p.workspaceSet <- struct{}{}:
	default:
	}
	return w, nil
}

func (p *Peer) openWorkspace(ctx context.Context, url string) (*Workspace, error) {
	if url == "" {
		saved, err := p.store.Value(ctx, keyWorkspace)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return p.createWorkspace(ctx)
		case err != nil:
			return nil, err
		}
		url = string(saved)
	}
	doc, err := id.ParseDocument(url)
	if err != nil {
		return nil, err
	}
	d, err := p.Fetch(ctx, doc)
	if err != nil {
		return nil, err
	}
	return &Workspace{d}, p.store.SetValue(ctx, keyWorkspace, []byte(doc.URL()))
}

func (p *Peer) createWorkspace(ctx context.Context) (*Workspace, error) {
	d, err := p.Create(ctx)
	if err != nil {
		return nil, err
	}
	_, err = d.Do(ctx, crdt.Create(workspaceCollection, workspaceSelf, map[string]any{"name": "", "url": crdt.Scalar(d.URL())}))
	if err != nil {
		return nil, err
	}
	// Another process may have been first; then ours is a document like others.
	url, err := p.store.InitValue(ctx, keyWorkspace, []byte(d.URL()))
	if err != nil {
		return nil, err
	}
	return p.openWorkspace(ctx, string(url))
}

// Add lists a document, or gives it another name.
func (w *Workspace) Add(ctx context.Context, doc id.Document, name string) error {
	_, err := w.Do(ctx, crdt.Create(workspaceCollection, doc.String(), map[string]any{"name": name, "url": crdt.Scalar(doc.URL())}))
	if errors.Is(err, crdt.ErrExists) {
		_, err = w.Do(ctx, crdt.Set(workspaceCollection, doc.String(), "name", name))
	}
	if errors.Is(err, crdt.ErrNoChange) {
		err = nil
	}
	return err
}

// Remove takes a document off the list. It stays in the stores that have it.
func (w *Workspace) Remove(ctx context.Context, doc id.Document) error {
	_, err := w.Do(ctx, crdt.Delete(workspaceCollection, doc.String()))
	return err
}

// List returns what the workspace lists, by name. An entry without a valid URL is
// left out.
func (w *Workspace) List(ctx context.Context) ([]WorkspaceEntry, error) {
	entities, err := w.Collection(ctx, workspaceCollection)
	if err != nil {
		return nil, err
	}
	var list []WorkspaceEntry
	for _, v := range entities {
		fields, _ := v.(map[string]any)
		url, _ := fields["url"].(string)
		doc, err := id.ParseDocument(url)
		if err != nil || doc == w.doc {
			continue
		}
		name, _ := fields["name"].(string)
		list = append(list, WorkspaceEntry{doc, name})
	}
	slices.SortFunc(list, func(a, b WorkspaceEntry) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Document.String(), b.Document.String())
	})
	return list, nil
}

// currentWorkspace is the store's workspace, nil if it has none.
func (p *Peer) currentWorkspace(ctx context.Context) (*Workspace, error) {
	p.mu.Lock()
	w := p.workspace
	p.mu.Unlock()
	if w != nil {
		return w, nil
	}
	if _, err := p.store.Value(ctx, keyWorkspace); errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	return p.Workspace(ctx, "")
}

// followWorkspaceOnce makes what the workspace lists known, and reports whether
// there was something new.
func (p *Peer) followWorkspaceOnce(ctx context.Context) (more bool, err error) {
	w, err := p.currentWorkspace(ctx)
	if err != nil || w == nil {
		return false, err
	}
	list, err := w.List(ctx)
	if err != nil {
		return false, err
	}
	for _, e := range list {
		if p.knows(e.Document) {
			continue
		}
		if _, err := p.Fetch(ctx, e.Document); err != nil {
			return more, err
		}
		more = true
	}
	return more, nil
}

// followWorkspace makes what the workspace lists known, now and as it changes.
func (p *Peer) followWorkspace(ctx context.Context) {
	for ctx.Err() == nil {
		w, err := p.currentWorkspace(ctx)
		if err != nil || w == nil {
			if err != nil && ctx.Err() == nil {
				p.o.Log.Error("the workspace cannot be read", "err", err)
			}
			select {
			case <-p.workspaceSet:
				continue
			case <-ctx.Done():
				return
			}
		}
		changed := w.Changed()
		if _, err := p.followWorkspaceOnce(ctx); err != nil && ctx.Err() == nil {
			p.o.Log.Error("the workspace cannot be followed", "err", err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}
