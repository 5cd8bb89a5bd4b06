package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Frames is a connection as this package needs it: whole binary frames in order.
type Frames interface {
	ReadFrame(ctx context.Context) ([]byte, error)
	WriteFrame(ctx context.Context, frame []byte) error
}

// Local is what an end says of itself in the handshake.
type Local struct {
	PeerID   string
	Metadata Metadata
}

// Remote is what the other end said of itself.
type Remote struct {
	PeerID   string
	Metadata Metadata
}

// The errors of a handshake. Those of a frame that is no message wrap ErrFrame.
var (
	// ErrNotJoin: a client's first message was not a join.
	ErrNotJoin = errors.New("the first message of a client must be join")
	// ErrVersion: the ends have no protocol version in common.
	ErrVersion = errors.New("unsupported protocol version")
	// ErrRefused: the other end answered with an error message.
	ErrRefused = errors.New("refused by the other end")
	// ErrNotPeer: a server's first message was neither peer nor error.
	ErrNotPeer = errors.New("the first message of a server must be peer")
)

// Answer is the server's step: what to send in return for a client's first
// message, and who the client is. With an error, the reply is the Error to send
// before closing.
func (l Local) Answer(first Message) (reply Message, client Remote, err error) {
	sender, _ := first.Ends()
	back := Route{SenderID: l.PeerID, TargetID: sender}
	join, ok := first.(*Join)
	if !ok {
		err = fmt.Errorf("%w, not %.40q", ErrNotJoin, first.Type())
		return &Error{Route: back, Message: err.Error()}, Remote{}, err
	}
	if join.Versions != nil && !slices.Contains(join.Versions, Version) {
		err = fmt.Errorf("%w: this end speaks %q only", ErrVersion, Version)
		return &Error{Route: back, Message: err.Error()}, Remote{}, err
	}
	client = Remote{PeerID: join.SenderID, Metadata: join.Metadata}
	return &Peer{Route: back, Metadata: l.Metadata, Version: Version}, client, nil
}

// Join is the client's first step: what to send.
func (l Local) Join() *Join {
	return &Join{SenderID: l.PeerID, Metadata: l.Metadata, Versions: []string{Version}}
}

// Accept is the client's second step: who the server is, from its first message.
func (l Local) Accept(first Message) (server Remote, err error) {
	switch m := first.(type) {
	case *Peer:
		if m.Version != "" && m.Version != Version {
			return Remote{}, fmt.Errorf("%w: the other end selected %.40q", ErrVersion, m.Version)
		}
		return Remote{PeerID: m.SenderID, Metadata: m.Metadata}, nil
	case *Error:
		return Remote{}, fmt.Errorf("%w: %.200s", ErrRefused, m.Message)
	}
	return Remote{}, fmt.Errorf("%w, not %.40q", ErrNotPeer, first.Type())
}

// Serve does the server's side of a handshake. vet, if not nil, may refuse the
// client before it is answered. When Serve returns an error that is not the
// connection's own, it has told the client, and the caller closes with
// CloseProtocol unless the error says otherwise.
func (l Local) Serve(ctx context.Context, conn Frames, vet func(context.Context, Remote) error) (Remote, error) {
	b, err := conn.ReadFrame(ctx)
	if err != nil {
		return Remote{}, fmt.Errorf("read join: %w", err)
	}
	var reply Message
	var client Remote
	first, err := Decode(b)
	if err != nil {
		reply = &Error{Route: Route{SenderID: l.PeerID}, Message: err.Error()}
	} else {
		reply, client, err = l.Answer(first)
	}
	if err == nil && vet != nil {
		if err = vet(ctx, client); err != nil {
			reply = &Error{Route: Route{SenderID: l.PeerID, TargetID: client.PeerID}, Message: err.Error()}
		}
	}
	if werr := write(ctx, conn, reply); werr != nil && err == nil {
		return Remote{}, werr
	}
	return client, err
}

// Connect does the client's side of a handshake.
func (l Local) Connect(ctx context.Context, conn Frames) (Remote, error) {
	if err := write(ctx, conn, l.Join()); err != nil {
		return Remote{}, err
	}
	b, err := conn.ReadFrame(ctx)
	if err != nil {
		return Remote{}, fmt.Errorf("read answer to join: %w", err)
	}
	first, err := Decode(b)
	if err != nil {
		return Remote{}, err
	}
	return l.Accept(first)
}

func write(ctx context.Context, conn Frames, m Message) error {
	b, err := Encode(m)
	if err != nil {
		return err
	}
	if err := conn.WriteFrame(ctx, b); err != nil {
		return fmt.Errorf("write %s: %w", m.Type(), err)
	}
	return nil
}
