package js

import (
	"context"
	"encoding/json"
)

// Automerge is a worker that runs plain @automerge/automerge. Heads and hashes
// are hexadecimal; documents as JSON are in the notation of [Dump].
type Automerge struct{ *Worker }

// StartAutomerge starts a worker without documents.
func StartAutomerge(ctx context.Context) (*Automerge, error) {
	w, err := Start(ctx, "automerge.mjs")
	if err != nil {
		return nil, err
	}
	return &Automerge{w}, nil
}

// Dump is what two replicas must share. Doc has its keys sorted and writes what
// JSON lacks as {"$counter": n}, {"$date": ms}, {"$bytes": hex} and, for an
// immutable string, {"$scalar": string}; text is a string in which a block marker
// is U+FFFC.
type Dump struct {
	Heads []string        `json:"heads"` // sorted
	Doc   json.RawMessage `json:"doc"`
}

// History is a document with all that it was made of.
type History struct {
	Dump
	Changes [][]byte `json:"changes"` // raw type 1 chunks, each after its deps
	Saved   []byte   `json:"saved"`   // a document chunk
}

// Sizes bounds the number of changes of a random history. Zero values stand for
// 10 and 80.
type Sizes struct {
	Least int `json:"least"`
	Most  int `json:"most"`
}

// Histories makes count random histories, of the seeds seed, seed+1 and so on: 1
// to 4 actors, maps, lists, text, marks, block markers, counters, dates, bytes,
// immutable strings, conflicts, deletes, empty changes and merges. A history
// depends on nothing but its seed and size. A change costs about a millisecond; ask
// for some hundred histories at a time.
func (a *Automerge) Histories(ctx context.Context, seed uint64, count int, s Sizes) ([]History, error) {
	if s.Least == 0 {
		s.Least = 10
	}
	if s.Most == 0 {
		s.Most = max(80, s.Least)
	}
	var r struct {
		Histories []History `json:"histories"`
	}
	// A 64-bit seed would lose digits as a JSON number; the generator keeps 32 bits.
	err := a.Call(ctx, "histories", map[string]any{"seed": uint32(seed), "count": count, "least": s.Least, "most": s.Most}, &r)
	return r.Histories, err
}

// Inspect loads chunks of any type, in order, into an empty document and says
// what came of it.
func (a *Automerge) Inspect(ctx context.Context, chunks ...[]byte) (History, error) {
	var h History
	err := a.Call(ctx, "inspect", map[string]any{"chunks": chunks}, &h)
	return h, err
}

// Doc is a document in the worker.
type Doc struct {
	a  *Automerge
	id int
}

type docReply struct {
	Doc   int      `json:"doc"`
	Heads []string `json:"heads"`
	Data  []byte   `json:"data"`
}

func (a *Automerge) newDoc(ctx context.Context, method string, params map[string]any) (*Doc, error) {
	var r docReply
	if err := a.Call(ctx, method, params, &r); err != nil {
		return nil, err
	}
	return &Doc{a, r.Doc}, nil
}

// Create makes an empty document. The actor is hexadecimal, "" for a random one.
func (a *Automerge) Create(ctx context.Context, actor string) (*Doc, error) {
	return a.newDoc(ctx, "create", map[string]any{"actor": actor})
}

// Load reads a saved document.
func (a *Automerge) Load(ctx context.Context, data []byte, actor string) (*Doc, error) {
	return a.newDoc(ctx, "load", map[string]any{"data": data, "actor": actor})
}

// Fork copies the document under another actor.
func (d *Doc) Fork(ctx context.Context, actor string) (*Doc, error) {
	return d.a.newDoc(ctx, "fork", map[string]any{"doc": d.id, "actor": actor})
}

// Free gives the document's memory back.
func (d *Doc) Free(ctx context.Context) error {
	return d.a.Call(ctx, "free", map[string]any{"doc": d.id}, nil)
}

func (d *Doc) heads(ctx context.Context, method string, params map[string]any) ([]string, error) {
	params["doc"] = d.id
	var r docReply
	err := d.a.Call(ctx, method, params, &r)
	return r.Heads, err
}

// Apply adds raw changes and returns the heads then. Changes whose deps are
// missing are kept aside by the document.
func (d *Doc) Apply(ctx context.Context, changes ...[]byte) ([]string, error) {
	return d.heads(ctx, "apply", map[string]any{"changes": changes})
}

// LoadIncremental adds concatenated chunks of any type and returns the heads then.
func (d *Doc) LoadIncremental(ctx context.Context, data []byte) ([]string, error) {
	return d.heads(ctx, "loadIncremental", map[string]any{"data": data})
}

// Merge takes over all changes of another document of the same worker.
func (d *Doc) Merge(ctx context.Context, from *Doc) ([]string, error) {
	return d.heads(ctx, "merge", map[string]any{"from": from.id})
}

// Change makes one change of ops and returns the heads then.
func (d *Doc) Change(ctx context.Context, ops ...Op) ([]string, error) {
	return d.heads(ctx, "change", map[string]any{"ops": ops})
}

// Random makes count random changes, chosen by seed, and returns the heads then.
func (d *Doc) Random(ctx context.Context, seed uint64, count int) ([]string, error) {
	return d.heads(ctx, "random", map[string]any{"seed": uint32(seed), "count": count})
}

// Heads returns the document's heads.
func (d *Doc) Heads(ctx context.Context) ([]string, error) {
	return d.heads(ctx, "heads", map[string]any{})
}

// Dump returns heads and content.
func (d *Doc) Dump(ctx context.Context) (Dump, error) {
	var r Dump
	err := d.a.Call(ctx, "dump", map[string]any{"doc": d.id}, &r)
	return r, err
}

// Save returns the document as one document chunk.
func (d *Doc) Save(ctx context.Context) ([]byte, error) {
	var r docReply
	err := d.a.Call(ctx, "save", map[string]any{"doc": d.id}, &r)
	return r.Data, err
}

// Bundle returns the named changes as one bundle chunk.
func (d *Doc) Bundle(ctx context.Context, hashes []string) ([]byte, error) {
	var r docReply
	err := d.a.Call(ctx, "bundle", map[string]any{"doc": d.id, "hashes": hashes}, &r)
	return r.Data, err
}

// Changes returns the raw changes that are not among the ancestors of since.
func (d *Doc) Changes(ctx context.Context, since []string) ([][]byte, error) {
	var r struct {
		Changes [][]byte `json:"changes"`
	}
	err := d.a.Call(ctx, "changes", map[string]any{"doc": d.id, "since": since}, &r)
	return r.Changes, err
}

// Spans returns a text with its marks and block markers, as A.spans does.
func (d *Doc) Spans(ctx context.Context, path ...any) (json.RawMessage, error) {
	var r struct {
		Spans json.RawMessage `json:"spans"`
	}
	err := d.a.Call(ctx, "spans", map[string]any{"doc": d.id, "path": path}, &r)
	return r.Spans, err
}
