package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/wire"
)

const (
	// dialTimeout bounds the connection and its handshake.
	dialTimeout = 15 * time.Second
	// messageBytes bounds the changes in one sync message that we write.
	messageBytes = 4 << 20
)

// LinkOptions says how a link is made.
type LinkOptions struct {
	PeerID   string // who we are; empty: random
	Replicas []*Replica
	Logger   *slog.Logger
}

// Link is a connection to a relay, or to a peer that listens, over which a set of
// replicas is kept in sync.
type Link struct {
	conn     *websocket.Conn
	local    wire.Local
	remote   wire.Remote
	log      *slog.Logger
	sessions map[id.Document]*linkSession
}

type linkSession struct {
	replica *Replica
	s       *session.Session // guarded by the replica's lock

	sending sync.Mutex // messages leave in the order they are generated in
}

// Dial connects to the WebSocket URL of a relay and says who we are.
func Dial(ctx context.Context, url string, o LinkOptions) (*Link, error) {
	if o.PeerID == "" {
		o.PeerID = "syncline-" + id.NewDocument().String()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	conn.SetReadLimit(wire.MaxFrame)
	l := &Link{
		conn: conn, log: o.Logger, sessions: map[id.Document]*linkSession{},
		local: wire.Local{PeerID: o.PeerID, Metadata: wire.Metadata{Ephemeral: true, Syncline: wire.Syncline}},
	}
	if l.remote, err = l.local.Connect(ctx, frames{conn}); err != nil {
		conn.CloseNow()
		return nil, fmt.Errorf("handshake with %s: %w", url, err)
	}
	for _, r := range o.Replicas {
		r.mu.Lock()
		l.sessions[r.id] = &linkSession{replica: r, s: session.New(r.g, r.orphans, session.Options{})}
		r.mu.Unlock()
	}
	return l, nil
}

// frames is a WebSocket as package wire needs it.
type frames struct{ conn *websocket.Conn }

func (f frames) ReadFrame(ctx context.Context) ([]byte, error) {
	kind, b, err := f.conn.Read(ctx)
	if err == nil && kind != websocket.MessageBinary {
		err = errors.New("a text frame came where binary ones are spoken")
	}
	return b, err
}

func (f frames) WriteFrame(ctx context.Context, b []byte) error {
	return f.conn.Write(ctx, websocket.MessageBinary, b)
}

// Run keeps the replicas in sync until ctx ends, which is no error, or the
// connection does.
func (l *Link) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.read(ctx) })
	for _, s := range l.sessions {
		group.Go(func() error { return l.follow(ctx, s) })
	}
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	l.conn.Close(websocket.StatusNormalClosure, "")
	return err
}

// follow says what there is to say of a document now and after each change.
func (l *Link) follow(ctx context.Context, s *linkSession) error {
	for {
		changed := s.replica.Changed()
		if err := l.say(ctx, s); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// say sends the session's next messages, if it has any.
func (l *Link) say(ctx context.Context, s *linkSession) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	for more := true; more; {
		s.replica.mu.Lock()
		data, err := s.s.Generate(s.replica, messageBytes)
		more = s.s.Pending()
		ask := s.replica.g.Len() == 0
		s.replica.mu.Unlock()
		if err != nil {
			return err
		}
		if data == nil {
			return nil
		}
		m := &wire.Sync{Route: l.route(), Request: ask, Document: s.replica.id, Data: data}
		frame, err := wire.Encode(m)
		if err != nil {
			return err
		}
		if err := l.conn.Write(ctx, websocket.MessageBinary, frame); err != nil {
			return fmt.Errorf("send to %s: %w", l.remote.PeerID, err)
		}
	}
	return nil
}

func (l *Link) route() wire.Route {
	return wire.Route{SenderID: l.local.PeerID, TargetID: l.remote.PeerID}
}

func (l *Link) read(ctx context.Context) error {
	for {
		frame, err := frames{l.conn}.ReadFrame(ctx)
		if err != nil {
			return fmt.Errorf("read from %s: %w", l.remote.PeerID, err)
		}
		m, err := wire.Decode(frame)
		if err != nil {
			return fmt.Errorf("read from %s: %w", l.remote.PeerID, err)
		}
		switch m := m.(type) {
		case *wire.Sync:
			if err := l.receive(ctx, m); err != nil {
				return err
			}
		case *wire.Error:
			return fmt.Errorf("%s says: %s", l.remote.PeerID, m.Message)
		case *wire.Unavailable:
			l.log.Info("nobody has the document yet", "doc", m.Document.String(), "peer", l.remote.PeerID)
		case *wire.Notice:
			l.log.Warn("notice", "doc", m.Document.String(), "peer", l.remote.PeerID, "code", string(m.Code), "message", m.Message)
		default:
			l.log.Debug("message left aside", "type", m.Type(), "peer", l.remote.PeerID)
		}
	}
}

// receive takes in a sync message and answers it.
func (l *Link) receive(ctx context.Context, in *wire.Sync) error {
	s, ok := l.sessions[in.Document]
	if !ok {
		l.log.Debug("message about a document that this link does not carry", "doc", in.Document.String())
		return nil
	}
	m, err := session.Decode(in.Data)
	if err != nil {
		return fmt.Errorf("sync message from %s: %w", l.remote.PeerID, err)
	}
	var changes []*chunk.Change
	for _, b := range m.Chunks {
		more, err := chunk.ParseChunks(b)
		if err != nil {
			return fmt.Errorf("sync message from %s: %w", l.remote.PeerID, err)
		}
		changes = append(changes, more...)
	}
	if err := s.replica.Receive(l.remote.PeerID, changes); err != nil {
		l.log.Warn("changes refused", "doc", in.Document.String(), "peer", l.remote.PeerID, "err", err)
	}
	s.replica.mu.Lock()
	s.s.Receive(m)
	s.replica.mu.Unlock()
	return l.say(ctx, s)
}
