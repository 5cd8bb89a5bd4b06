package js

import "context"

// SyncState is one end's state of the sync protocol, in the worker.
type SyncState struct {
	a  *Automerge
	id int
}

// NewSyncState returns the state of a session that begins.
func (a *Automerge) NewSyncState(ctx context.Context) (*SyncState, error) {
	return a.syncState(ctx, "syncNew", map[string]any{})
}

// DecodeSyncState reads what Encode wrote.
func (a *Automerge) DecodeSyncState(ctx context.Context, data []byte) (*SyncState, error) {
	return a.syncState(ctx, "syncDecode", map[string]any{"data": data})
}

func (a *Automerge) syncState(ctx context.Context, method string, params map[string]any) (*SyncState, error) {
	var r struct {
		State int `json:"state"`
	}
	if err := a.Call(ctx, method, params, &r); err != nil {
		return nil, err
	}
	return &SyncState{a, r.State}, nil
}

// Encode returns the part of the state that is saved between connections.
func (s *SyncState) Encode(ctx context.Context) ([]byte, error) {
	var r docReply
	err := s.a.Call(ctx, "syncEncode", map[string]any{"state": s.id}, &r)
	return r.Data, err
}

// Free forgets the state.
func (s *SyncState) Free(ctx context.Context) error {
	return s.a.Call(ctx, "syncFree", map[string]any{"state": s.id}, nil)
}

// Generate returns the document's next sync message, nil when there is nothing to
// say.
func (d *Doc) Generate(ctx context.Context, s *SyncState) ([]byte, error) {
	var r struct {
		Message []byte `json:"message"`
	}
	err := d.a.Call(ctx, "syncGenerate", map[string]any{"doc": d.id, "state": s.id}, &r)
	return r.Message, err
}

// Receive takes a sync message in and returns the heads then.
func (d *Doc) Receive(ctx context.Context, s *SyncState, message []byte) ([]string, error) {
	return d.heads(ctx, "syncReceive", map[string]any{"state": s.id, "message": message})
}

// SyncMessage is a sync message as the JavaScript decoder sees it.
type SyncMessage struct {
	Heads []string `json:"heads"`
	Need  []string `json:"need"`
	Have  []struct {
		LastSync []string `json:"lastSync"`
		Bloom    []byte   `json:"bloom"`
	} `json:"have"`
	Changes [][]byte `json:"changes"`
}

// Describe decodes a sync message.
func (a *Automerge) Describe(ctx context.Context, message []byte) (SyncMessage, error) {
	var m SyncMessage
	err := a.Call(ctx, "syncDescribe", map[string]any{"message": message}, &m)
	return m, err
}
