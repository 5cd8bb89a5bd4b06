package js

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Repo is a worker whose clients are stock automerge-repo repos.
type Repo struct{ *Worker }

// StartRepo starts a worker without clients.
func StartRepo(ctx context.Context) (*Repo, error) {
	w, err := Start(ctx, "repo.mjs")
	if err != nil {
		return nil, err
	}
	return &Repo{w}, nil
}

// Client is one automerge-repo client: a repo with a connection of its own.
// Documents are named by their id as automerge-repo writes it. A method that waits
// does so until its context ends.
type Client struct {
	r      *Repo
	id     int
	PeerID string
}

// ClientOptions says what a client is. Only URL is needed.
type ClientOptions struct {
	URL     string
	PeerID  string        // random when empty
	Storage string        // folder of the NodeFS adapter; none, and ephemeral, when empty
	Retry   time.Duration // between attempts to connect; the stock 5 s when zero
}

// Open makes a client, which begins to connect at once.
func (r *Repo) Open(ctx context.Context, o ClientOptions) (*Client, error) {
	var res struct {
		Client int    `json:"client"`
		PeerID string `json:"peerId"`
	}
	err := r.Call(ctx, "open", map[string]any{
		"url": o.URL, "peerId": o.PeerID, "storage": o.Storage, "retryMs": o.Retry.Milliseconds(),
	}, &res)
	return &Client{r, res.Client, res.PeerID}, err
}

// Strays returns the messages of promise rejections that nobody handled, which in
// an application would have been errors in its log, or its end.
func (r *Repo) Strays(ctx context.Context) ([]string, error) {
	var res struct {
		Strays []struct {
			Message string `json:"message"`
		} `json:"strays"`
	}
	err := r.Call(ctx, "strays", nil, &res)
	messages := make([]string, 0, len(res.Strays))
	for _, s := range res.Strays {
		messages = append(messages, s.Message)
	}
	return messages, err
}

func (c *Client) call(ctx context.Context, method string, params map[string]any, result any) error {
	if params == nil {
		params = map[string]any{}
	}
	params["client"] = c.id
	return c.r.Call(ctx, method, params, result)
}

// Metadata is what the other end said of itself when it answered the join.
type Metadata struct {
	PeerID      string
	StorageID   string
	IsEphemeral bool
}

// Connected waits until the other end has answered the join.
func (c *Client) Connected(ctx context.Context) (Metadata, error) {
	var res struct {
		PeerID   string   `json:"peerId"`
		Metadata Metadata `json:"metadata"`
	}
	err := c.call(ctx, "connected", nil, &res)
	res.Metadata.PeerID = res.PeerID
	return res.Metadata, err
}

// Disconnected waits until the client has noticed that its connection is gone.
func (c *Client) Disconnected(ctx context.Context) error {
	return c.call(ctx, "disconnected", nil, nil)
}

// Disconnect closes the connection for good; Connect opens a new one and waits
// for the answer to the join; Drop cuts the connection, and the client tries again
// by itself.
func (c *Client) Disconnect(ctx context.Context) error { return c.call(ctx, "disconnect", nil, nil) }
func (c *Client) Connect(ctx context.Context) error    { return c.call(ctx, "connect", nil, nil) }
func (c *Client) Drop(ctx context.Context) error       { return c.call(ctx, "drop", nil, nil) }

// Close disconnects, writes what its storage still lacks, and forgets the client.
func (c *Client) Close(ctx context.Context) error { return c.call(ctx, "close", nil, nil) }

// State is a document's id and heads.
type State struct {
	Doc   string   `json:"doc"`
	Heads []string `json:"heads"` // sorted
}

// NewDocumentID returns an id that no document has.
func (r *Repo) NewDocumentID(ctx context.Context) (string, error) {
	var s State
	err := r.Call(ctx, "newDocumentId", nil, &s)
	return s.Doc, err
}

// Create makes a document and, with ops, a first change of it.
func (c *Client) Create(ctx context.Context, ops ...Op) (State, error) {
	var s State
	err := c.call(ctx, "create", map[string]any{"ops": ops}, &s)
	return s, err
}

// Import takes a saved document in under the given id, or a new one if it is "".
func (c *Client) Import(ctx context.Context, saved []byte, doc string) (State, error) {
	var s State
	err := c.call(ctx, "import", map[string]any{"data": saved, "doc": doc}, &s)
	return s, err
}

// ErrUnavailable is Find's when the client was told that nobody has the document.
var ErrUnavailable = errors.New("the document is unavailable")

// Find asks for a document and waits until some of it is there.
func (c *Client) Find(ctx context.Context, doc string) (State, error) {
	var res struct {
		State
		Found bool `json:"found"`
	}
	err := c.call(ctx, "find", map[string]any{"doc": doc}, &res)
	if err == nil && !res.Found {
		err = ErrUnavailable
	}
	return res.State, err
}

// Change makes one change of ops and returns the heads then.
func (c *Client) Change(ctx context.Context, doc string, ops ...Op) ([]string, error) {
	return c.heads(ctx, "change", map[string]any{"doc": doc, "ops": ops})
}

// Random makes count random changes, chosen by seed, and returns the heads then.
func (c *Client) Random(ctx context.Context, doc string, seed uint64, count int) ([]string, error) {
	return c.heads(ctx, "random", map[string]any{"doc": doc, "seed": uint32(seed), "count": count})
}

func (c *Client) heads(ctx context.Context, method string, params map[string]any) ([]string, error) {
	var s State
	err := c.call(ctx, method, params, &s)
	return s.Heads, err
}

// Heads returns the document's heads.
func (c *Client) Heads(ctx context.Context, doc string) ([]string, error) {
	return c.heads(ctx, "heads", map[string]any{"doc": doc})
}

// Dump returns the document's heads and content.
func (c *Client) Dump(ctx context.Context, doc string) (Dump, error) {
	var d Dump
	err := c.call(ctx, "dump", map[string]any{"doc": doc}, &d)
	return d, err
}

// Text returns one text of a document.
func (c *Client) Text(ctx context.Context, doc string, path ...any) (string, error) {
	var res struct {
		Text string `json:"text"`
	}
	err := c.call(ctx, "text", map[string]any{"doc": doc, "path": path}, &res)
	return res.Text, err
}

// Spans returns a text with its marks and block markers.
func (c *Client) Spans(ctx context.Context, doc string, path ...any) (json.RawMessage, error) {
	var res struct {
		Spans json.RawMessage `json:"spans"`
	}
	err := c.call(ctx, "spans", map[string]any{"doc": doc, "path": path}, &res)
	return res.Spans, err
}

// Save returns the document as one document chunk.
func (c *Client) Save(ctx context.Context, doc string) ([]byte, error) {
	var res docReply
	err := c.call(ctx, "save", map[string]any{"doc": doc}, &res)
	return res.Data, err
}

// WaitHeads waits until the document has exactly these heads.
func (c *Client) WaitHeads(ctx context.Context, doc string, heads []string) error {
	return c.call(ctx, "waitHeads", map[string]any{"doc": doc, "heads": heads}, nil)
}

// WaitHas waits until the document holds these changes, and returns its heads.
func (c *Client) WaitHas(ctx context.Context, doc string, hashes []string) ([]string, error) {
	return c.heads(ctx, "waitHas", map[string]any{"doc": doc, "heads": hashes})
}

// Acknowledged returns the heads of the last sync message that the other end sent
// for the document.
func (c *Client) Acknowledged(ctx context.Context, doc string) ([]string, error) {
	return c.heads(ctx, "acknowledged", map[string]any{"doc": doc})
}

// WaitAcknowledged waits until the other end's heads include the given changes, or
// all that this client has if heads is nil.
func (c *Client) WaitAcknowledged(ctx context.Context, doc string, heads []string) error {
	params := map[string]any{"doc": doc}
	if heads != nil {
		params["heads"] = heads
	}
	return c.call(ctx, "waitAcknowledged", params, nil)
}

// WaitSaved waits until the client's storage holds the document and a sync state
// that says the other end has all of it.
func (c *Client) WaitSaved(ctx context.Context, doc string) error {
	return c.call(ctx, "waitSaved", map[string]any{"doc": doc}, nil)
}

// Ephemeral is what reached a client for one document.
type Ephemeral struct {
	Received []struct { // as the application saw them
		SenderID string          `json:"senderId"`
		Message  json.RawMessage `json:"message"`
	} `json:"received"`
	OnWire []struct { // as they came in, duplicates included
		SenderID string `json:"senderId"`
		Count    uint64 `json:"count"`
	} `json:"onWire"`
}

// Broadcast sends an ephemeral message to whoever has the document open.
func (c *Client) Broadcast(ctx context.Context, doc string, message any) error {
	return c.call(ctx, "broadcast", map[string]any{"doc": doc, "message": message}, nil)
}

// WaitEphemeral waits until the application has seen count messages; zero returns
// what there is.
func (c *Client) WaitEphemeral(ctx context.Context, doc string, count int) (Ephemeral, error) {
	var e Ephemeral
	err := c.call(ctx, "waitEphemeral", map[string]any{"doc": doc, "count": count}, &e)
	return e, err
}

// Traffic counts WebSocket messages and their payload bytes over all of a client's
// connections.
type Traffic struct {
	MessagesIn  int64 `json:"messagesIn"`
	MessagesOut int64 `json:"messagesOut"`
	BytesIn     int64 `json:"bytesIn"`
	BytesOut    int64 `json:"bytesOut"`
	Connections int64 `json:"connections"`
}

// Traffic returns the counts so far.
func (c *Client) Traffic(ctx context.Context) (Traffic, error) {
	var t Traffic
	err := c.call(ctx, "traffic", nil, &t)
	return t, err
}
