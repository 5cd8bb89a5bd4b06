package peer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/wire"
	"syncline/storage"
)

// What simulated networks have shown (package bench/simulation), each by itself.

// fillable is a store whose disk may be full for what says who has what.
type fillable struct {
	Store
	full bool
}

func (s *fillable) refuse() error {
	if s.full {
		return storage.ErrFull
	}
	return nil
}

func (s *fillable) SaveSyncState(ctx context.Context, doc id.Document, remote string, state []byte) error {
	if err := s.refuse(); err != nil {
		return err
	}
	return s.Store.SaveSyncState(ctx, doc, remote, state)
}

func (s *fillable) SetUndelivered(ctx context.Context, doc id.Document, remote string, record []byte) error {
	if err := s.refuse(); err != nil {
		return err
	}
	return s.Store.SetUndelivered(ctx, doc, remote, record)
}

func (s *fillable) SetValue(ctx context.Context, key string, value []byte) error {
	if err := s.refuse(); err != nil {
		return err
	}
	return s.Store.SetValue(ctx, key, value)
}

// single is a stepped peer with one remote, whose part the test plays.
type single struct {
	*Stepped
	t      *testing.T
	store  *fillable
	timers []func()
	dialed *SteppedLink
	lane   lane
	at     *SteppedConn
}

const singleURL = "ws://relay.example:1"

func newSingle(t *testing.T) *single {
	t.Helper()
	disk, err := storage.Open(bounded(t), filepath.Join(t.TempDir(), "peer.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &single{t: t, store: &fillable{Store: disk}}
	mints := 0
	s.Stepped, err = OpenStepped(bounded(t), s.store, Options{Remotes: []Remote{{URL: singleURL}}, Network: everywhere{}, MaxIdle: 1}, Steps{
		PeerID: "us", Secret: make([]byte, deviceSecret), Ready: func() {},
		Mint: func(secret []byte, doc id.Document) id.Actor {
			mints++
			return id.Actor(fmt.Sprintf("%s%08d", crdt.DeviceTag(secret, doc), mints))
		},
		After: func(_ time.Duration, fn func()) { s.timers = append(s.timers, fn) },
		Dial:  func(l *SteppedLink) { s.dialed = l },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Release()
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	s.pump()
	return s
}

// everywhere is a network with a way to every host.
type everywhere struct{}

func (everywhere) Fingerprint() string { return "" }
func (everywhere) Routes(string) bool  { return true }

func (s *single) connect() {
	s.t.Helper()
	if s.dialed == nil {
		s.t.Fatal("nobody is dialled")
	}
	s.lane.ctx = s.t.Context()
	s.at = s.dialed.Connected(&s.lane, wire.Remote{PeerID: "relay", Metadata: wire.Metadata{StorageID: "its data", Syncline: wire.Syncline}})
	s.pump()
}

// wait has all timers fire that are set.
func (s *single) wait() {
	timers := s.timers
	s.timers = nil
	for _, fire := range timers {
		fire()
	}
	s.pump()
}

// said lists the documents of the sync messages that were sent since it was last asked.
func (s *single) said() (docs []id.Document) {
	s.t.Helper()
	for _, f := range s.lane.frames {
		m, err := wire.Decode(f)
		if err != nil {
			s.t.Fatal(err)
		}
		if sync, ok := m.(*wire.Sync); ok {
			docs = append(docs, sync.Document)
		}
	}
	s.lane.frames = nil
	return docs
}

// has has the remote say that it has all that the peer has of a document.
func (s *single) has(doc id.Document) {
	s.t.Helper()
	heads, err := (&Document{s.Peer, doc}).Heads(bounded(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	m := &session.Message{V2: true, Heads: heads, Have: []session.Have{{LastSync: heads}}, HasFlags: true, Flags: session.SupportsSyncReset}
	s.receive(&wire.Sync{Route: s.route(), Document: doc, Data: m.Encode()})
}

func (s *single) do(doc id.Document, ops ...crdt.Operation) error {
	s.t.Helper()
	outcome, err := s.Begin(bounded(s.t), doc, ops...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.pump()
	_, err, ok := outcome()
	if !ok {
		s.t.Fatal("the operation is not done")
	}
	return err
}

// A document may be in use before the store knows it. Connections that come then do not
// carry it, and have to when it becomes known.
func TestADocumentThatBecomesKnownIsCarriedOnTheConnectionsThatAreThere(t *testing.T) {
	for name, becomeKnown := range map[string]func(*single, id.Document){
		"fetched": func(s *single, doc id.Document) {
			if _, err := s.Fetch(bounded(t), doc); err != nil {
				t.Fatal(err)
			}
			s.pump()
		},
		"made": func(s *single, doc id.Document) {
			if err := s.do(doc, crdt.Create("notes", "a", nil)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSingle(t)
			doc := id.Document{7}
			if err := s.do(doc, crdt.Delete("notes", "a")); err == nil {
				t.Fatal("what is not there was deleted")
			}
			s.connect()
			if docs := s.said(); len(docs) > 0 {
				t.Fatalf("said something of %v", docs)
			}
			becomeKnown(s, doc)
			if docs := s.said(); !slices.Contains(docs, doc) {
				t.Errorf("said something of %v, not of %v", docs, doc)
			}
		})
	}
}

func TestWhoIsAtTheOtherEndIsKeptWhenTheDiskHasRoomAgain(t *testing.T) {
	s := newSingle(t)
	s.store.full = true
	s.connect()
	s.wait()
	s.store.full = false
	for range 2 {
		s.wait()
	}
	if v, err := s.store.Value(bounded(t), keyRemote+singleURL); err != nil || string(v) != "its data" {
		t.Errorf("the store has %q, %v", v, err)
	}
	if _, err := s.Outbox(bounded(t)); err != nil { // which reads the store
		t.Fatal(err)
	}
	if got := s.others.at(singleURL); got != "its data" {
		t.Errorf("at the remote is %q", got)
	}
}

func TestWhatIsAcknowledgedIsKeptWhenTheDiskHasRoomAgain(t *testing.T) {
	for _, parked := range []bool{false, true} {
		s := newSingle(t)
		docs := []id.Document{{1}, {2}, {3}}
		for _, doc := range docs {
			if err := s.do(doc, crdt.Create("notes", "a", nil)); err != nil {
				t.Fatal(err)
			}
		}
		s.connect()
		s.store.full = true
		for _, doc := range docs {
			s.has(doc)
		}
		if !parked { // the more documents rest, the sooner their desks end
			s.wait()
		}
		s.store.full = false
		for range 3 {
			s.wait()
		}
		if list, err := s.Outbox(bounded(t)); err != nil || len(list) > 0 {
			t.Errorf("parked %v: left to deliver: %+v, %v", parked, list, err)
		}
		for _, doc := range docs {
			if state, err := s.store.SyncState(bounded(t), doc, "its data"); err != nil || state == nil {
				t.Errorf("parked %v: nothing is kept of what the remote has of %v: %v", parked, doc, err)
			}
		}
	}
}

// What the remote says of a document that is held back is dropped. Once it is offered
// again the remote has heard our heads before, and is not to stay silent for that.
func TestWhatIsOfferedAgainAsksToStartOver(t *testing.T) {
	s := newSingle(t)
	doc := id.Document{7}
	if err := s.do(doc, crdt.Create("notes", "a", nil)); err != nil {
		t.Fatal(err)
	}
	s.connect()
	s.startsOver(false)
	s.receive(&wire.Notice{Route: s.route(), Document: doc, Code: wire.NoticeReadOnly, Message: "no"})
	s.has(doc) // which is not heard
	if err := s.Retry(bounded(t), singleURL, doc); err != nil {
		t.Fatal(err)
	}
	s.pump()
	s.startsOver(true)
	s.has(doc)
	if box, err := s.Outbox(bounded(t)); err != nil || len(box) > 0 {
		t.Errorf("the outbox holds %+v, %v", box, err)
	}
	s.connect()
	s.startsOver(false)
}

func (s *single) route() wire.Route { return wire.Route{SenderID: "relay", TargetID: "us"} }

// receive has the remote say something.
func (s *single) receive(m wire.Message) {
	s.t.Helper()
	b, err := wire.Encode(m)
	if err != nil {
		s.t.Fatal(err)
	}
	s.at.Receive(b)
	s.pump()
}

// startsOver checks that one sync message was sent, and whether it asks to start over.
func (s *single) startsOver(want bool) {
	s.t.Helper()
	var said []*session.Message
	for _, f := range s.lane.frames {
		m, err := wire.Decode(f)
		if err != nil {
			s.t.Fatal(err)
		}
		if sync, ok := m.(*wire.Sync); ok {
			msg, err := session.Decode(sync.Data)
			if err != nil {
				s.t.Fatal(err)
			}
			said = append(said, msg)
		}
	}
	s.lane.frames = nil
	if len(said) != 1 || said[0].Flags&session.SyncReset != 0 != want {
		s.t.Fatalf("%d messages were sent (%+v), want one; that it asks to start over: %v", len(said), said, want)
	}
}

// What a connection begins with may be what somebody wants to be tried again, too: then
// the session begins twice in a round, and has to say its first word.
func TestADocumentThatIsTriedAgainAsItsConnectionBeginsIsOffered(t *testing.T) {
	s := newSingle(t)
	doc := id.Document{7}
	if err := s.do(doc, crdt.Create("notes", "a", nil)); err != nil {
		t.Fatal(err)
	}
	s.links[0].l.revive(doc)
	s.pump()
	s.connect()
	if docs := s.said(); !slices.Contains(docs, doc) {
		t.Errorf("said something of %v, not of %v", docs, doc)
	}
}

// Why a document is held back may find no room on the disk. It is told all the same, and
// can be tried again.
func TestWhatIsHeldBackOnAFullDiskIsToldAndTriedAgain(t *testing.T) {
	s := newSingle(t)
	doc := id.Document{7}
	if err := s.do(doc, crdt.Create("notes", "a", nil)); err != nil {
		t.Fatal(err)
	}
	s.connect()
	s.store.full = true
	s.said()
	s.receive(&wire.Unavailable{Route: s.route(), Document: doc})
	list, err := s.Outbox(bounded(t))
	if err != nil || len(list) != 1 || list[0].State != DeliveryDead || list[0].Class != ClassForbidden {
		t.Fatalf("outbox %+v, %v", list, err)
	}
	if err := s.Retry(bounded(t), singleURL, doc); !errors.Is(err, storage.ErrFull) {
		t.Errorf("tried again on a full disk: %v", err)
	}
	s.store.full = false
	if err := s.Retry(bounded(t), singleURL, doc); err != nil {
		t.Fatal(err)
	}
	s.pump()
	if docs := s.said(); !slices.Contains(docs, doc) {
		t.Errorf("said something of %v, not of %v", docs, doc)
	}
}
