package peer

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"syncline/crdt/id"
	"syncline/storage"
)

// DeliveryState is how a document, or a remote as a whole, stands in the outbox.
type DeliveryState string

// The states.
const (
	DeliveryQueued  DeliveryState = "queued"  // changes are on their way, or go when there is a connection
	DeliveryWaiting DeliveryState = "waiting" // something was wrong, and it is tried again at a time
	// DeliveryDead: something is wrong that trying again does not mend. It is kept
	// in the store, and nothing is sent until Retry, or a restart for a remote as a
	// whole, which may have got another token.
	DeliveryDead    DeliveryState = "dead"
	DeliveryDropped DeliveryState = "dropped" // Drop was called; until Retry
)

// Delivery is what one remote has yet to get of one document, or why it gets
// nothing.
type Delivery struct {
	Remote   string      // URL
	Document id.Document // zero: the remote as a whole
	State    DeliveryState
	Pending  int       // changes that the remote is not known to have
	Class    Class     // of what went wrong, "" if nothing did
	Reason   string    // the same in words
	Hash     id.Hash   // the change that is at fault, or zero
	Since    time.Time // when it went wrong
	Failures int       // in a row
	Next     time.Time // of the next attempt, when waiting
}

// ErrNotDead: Retry or Drop was called for what is neither dead nor dropped.
var ErrNotDead = errors.New("nothing is held back there")

// deadRecord is how the store keeps why a document is not delivered.
type deadRecord struct {
	_        struct{} `cbor:",toarray"`
	Version  int
	Dropped  bool
	Receives bool
	Class    Class
	Reason   string
	Hash     []byte
	Since    int64 // ms
}

const deadVersion = 1

// maxReason is as much of a reason as is kept, in bytes: others write it.
const maxReason = 500

func encodeDead(f *Fault, since time.Time, dropped bool) []byte {
	reason := f.Err.Error()
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	r := deadRecord{Version: deadVersion, Dropped: dropped, Receives: f.Receives, Class: f.Class, Reason: strings.ToValidUTF8(reason, "\uFFFD"), Since: since.UnixMilli()}
	if f.Hash != (id.Hash{}) {
		r.Hash = f.Hash[:]
	}
	b, err := cbor.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}

// decodeDead never fails: a record that cannot be read still holds back.
func decodeDead(b []byte) (f *Fault, since time.Time, dropped bool) {
	var r deadRecord
	if err := cbor.Unmarshal(b, &r); err != nil || r.Version != deadVersion {
		return &Fault{Class: ClassInternal, Err: errors.New("why it is held back cannot be read: " + hex.EncodeToString(b[:min(len(b), 16)]))}, time.Time{}, false
	}
	f = &Fault{Class: r.Class, Receives: r.Receives, Err: errors.New(r.Reason)}
	if len(r.Hash) == len(f.Hash) {
		f.Hash = id.Hash(r.Hash)
	}
	return f, time.UnixMilli(r.Since), r.Dropped
}

// keyStopped is what the store keeps why a remote as a whole gets nothing under,
// with its URL.
const keyStopped = "stopped "

// Outbox lists what remotes have yet to get, by remote and then by document, with
// what is held back. It knows of all remotes that the store has ever been connected
// to, and reads the graphs of documents only where a remote lacks changes.
func (p *Peer) Outbox(ctx context.Context) ([]Delivery, error) {
	type key struct {
		remote string
		doc    id.Document
	}
	all := map[key]Delivery{}
	if err := p.others.load(ctx, p.store); err != nil { // as another process may know them
		return nil, err
	}
	for _, url := range p.urls() {
		if err := p.pending(ctx, url, func(doc id.Document, n int) {
			all[key{url, doc}] = Delivery{Remote: url, Document: doc, State: DeliveryQueued, Pending: n}
		}); err != nil {
			return nil, err
		}
	}
	hold := func(k key, f *Fault, since time.Time, dropped bool) {
		d := all[k]
		d.Remote, d.Document, d.State = k.remote, k.doc, DeliveryDead
		if dropped {
			d.State = DeliveryDropped
		}
		d.Class, d.Reason, d.Hash, d.Since = f.Class, f.Err.Error(), f.Hash, since
		all[k] = d
	}
	err := p.store.Undelivered(ctx, func(u storage.Undelivered) error {
		f, since, dropped := decodeDead(u.Record)
		hold(key{u.Remote, u.Doc}, f, since, dropped)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = p.store.Values(ctx, keyStopped, func(url string, b []byte) error {
		f, since, dropped := decodeDead(b)
		hold(key{remote: url}, f, since, dropped)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, l := range p.allLinks() {
		l.mu.Lock()
		for doc, le := range l.box.letters {
			k := key{l.spec.URL, doc}
			d := all[k]
			switch {
			case le.state > letterWaiting && !le.kept: // the disk is full
				hold(k, le.fault, le.since, le.state == letterDropped)
				continue
			case le.state > letterWaiting || d.State == DeliveryDead || d.State == DeliveryDropped:
				continue
			}
			d.Remote, d.Document, d.State = k.remote, doc, DeliveryQueued
			d.Class, d.Reason, d.Hash, d.Since, d.Failures = le.fault.Class, le.fault.Err.Error(), le.fault.Hash, le.since, le.failures
			if le.state == letterWaiting {
				d.State, d.Next = DeliveryWaiting, le.next
			}
			all[k] = d
		}
		l.mu.Unlock()
	}
	list := make([]Delivery, 0, len(all))
	for _, d := range all {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b Delivery) int {
		if c := strings.Compare(a.Remote, b.Remote); c != 0 {
			return c
		}
		return compareDocuments(a.Document, b.Document)
	})
	return list, nil
}

// urls are those of all remotes, ascending.
func (p *Peer) urls() []string {
	urls := p.others.urls()
	for _, l := range p.allLinks() {
		urls = append(urls, l.spec.URL)
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}

func (p *Peer) allLinks() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.links)
}

// linksTo are those to a URL.
func (p *Peer) linksTo(url string) []*link {
	return slices.DeleteFunc(p.allLinks(), func(l *link) bool { return l.spec.URL != url })
}

// pending calls fn with each document of which the remote lacks changes.
func (p *Peer) pending(ctx context.Context, url string, fn func(doc id.Document, changes int)) error {
	infos, err := p.Documents(ctx)
	if err != nil {
		return err
	}
	all, err := p.takeCensus(ctx)
	if err != nil {
		return err
	}
	remote := p.others.at(url)
	for _, info := range infos {
		lacks, err := p.lacks(ctx, info, map[string]bool{remote: true}, all)
		if err != nil {
			return err
		}
		if n := lacks[remote]; n > 0 {
			fn(info.ID, n)
		}
	}
	return nil
}

// Retry has a document offered to a remote again that is dead or dropped there, or
// the remote as a whole tried again if doc is zero: at once if Run is running, here
// or in another process on the same file. The error wraps ErrNotDead if there is
// nothing to retry.
func (p *Peer) Retry(ctx context.Context, url string, doc id.Document) error {
	if err := p.unhold(ctx, url, doc); err != nil {
		return fmt.Errorf("retry %s: %w", url, err)
	}
	for _, l := range p.linksTo(url) {
		l.revive(doc)
	}
	return nil
}

func (p *Peer) unhold(ctx context.Context, url string, doc id.Document) error {
	if doc == (id.Document{}) {
		_, err := p.store.Value(ctx, keyStopped+url)
		if errors.Is(err, storage.ErrNotFound) {
			return ErrNotDead
		}
		if err != nil {
			return err
		}
		return p.store.DeleteValue(ctx, keyStopped+url)
	}
	if _, err := p.held(ctx, url, doc); err != nil {
		return err
	}
	return p.store.SetUndelivered(ctx, doc, url, nil)
}

// held finds why a document is held back from a remote.
func (p *Peer) held(ctx context.Context, url string, doc id.Document) (record []byte, err error) {
	err = p.store.Undelivered(ctx, func(u storage.Undelivered) error {
		if u.Remote == url && u.Doc == doc {
			record = u.Record
		}
		return nil
	})
	for _, l := range p.linksTo(url) {
		if record == nil {
			record = l.unkept(doc)
		}
	}
	if err == nil && record == nil {
		err = ErrNotDead
	}
	return record, err
}

// Drop gives up on delivering a document that is dead at a remote: it is not synced
// with it, until Retry. The document stays as it is here and with all others.
func (p *Peer) Drop(ctx context.Context, url string, doc id.Document) error {
	record, err := p.held(ctx, url, doc)
	var f *Fault
	var since time.Time
	if err == nil {
		f, since, _ = decodeDead(record)
		err = p.store.SetUndelivered(ctx, doc, url, encodeDead(f, since, true))
	}
	if err != nil {
		return fmt.Errorf("drop %s for %s: %w", doc, url, err)
	}
	for _, l := range p.linksTo(url) {
		l.bury(doc, f, since, true)
	}
	return nil
}
