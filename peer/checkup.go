package peer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/digest"
	"syncline/crdt/id"
	"syncline/peer/doctor"
	"syncline/storage"
)

// CheckupOptions say what Checkup and Mend look at. The zero looks at everything.
type CheckupOptions struct {
	// Documents to look at. nil: all.
	Documents []id.Document
	// Quick leaves out what takes longest: see doctor.Options.
	Quick bool
	// Export is the directory for evidence. "": beside the file, by its name with
	// ".evidence".
	Export string
	// Load is to do what TryLoad does. The core ends the process over bytes that it
	// does not like, so it is best done in another one. nil: it is done in this
	// process, for documents of which the core has had every change before.
	Load func(ctx context.Context, doc id.Document, heads []id.Hash, chunks [][]byte) error

	// Step is told of each step that Mend takes, before it does. nil: nobody is.
	Step func(what string)
}

// Checkup looks at the file of a peer or of a relay, and changes nothing; it may be
// in use. What it looks for is in the doc of package doctor, and so are the errors.
func Checkup(ctx context.Context, path string, o CheckupOptions) (*doctor.Report, error) {
	return doctor.Examine(ctx, path, o.options())
}

// Mend has Checkup's findings mended where that is safe. Nobody may have the file open
// (storage.ErrBusy).
func Mend(ctx context.Context, path string, o CheckupOptions) (*doctor.Report, error) {
	return doctor.Repair(ctx, path, o.options())
}

func (o CheckupOptions) options() doctor.Options {
	return doctor.Options{
		Documents: o.Documents, Quick: o.Quick, Export: o.Export, Step: o.Step,
		Rules: doctor.Rules{
			Refetches: true,
			KeptOut:   func(reason string) bool { return reason != reasonTwin },
			Unfit:     reasonCheck,
			Secret:    keySecret,
			NewSecret: newSecret,
			Tag:       crdt.DeviceTag,
			Start:     finishStart,
		},
		Checks: []doctor.Check{recordCheck{}, coreCheck{o.Load}},
	}
}

func newSecret() []byte {
	b := make([]byte, deviceSecret)
	rand.Read(b)
	return b
}

// finishStart opens the file and has the desks of documents do what a load does.
func finishStart(ctx context.Context, path string, docs []id.Document) (err error) {
	p, err := Open(ctx, path, Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	for _, doc := range docs {
		if err := p.trySingly(ctx, doc); err != nil {
			return err
		}
	}
	return p.showAnew(ctx, docs)
}

// TryLoad loads changes in the core, reads all that they make, and holds it against
// the heads that they must have. Over changes that no check has seen it may end the
// process.
func TryLoad(doc id.Document, heads []id.Hash, chunks [][]byte) error {
	_, err := loadCore(doc, heads, chunks)
	return err
}

func chunksOf(d *doctor.Document) (chunks [][]byte, err error) {
	err = d.Bodies(d.Standing(), func(b []byte) bool {
		chunks = append(chunks, append([]byte(nil), b...))
		return true
	})
	return chunks, err
}

// loadCore loads changes, and holds what comes out against their heads.
func loadCore(doc id.Document, heads []id.Hash, chunks [][]byte) (sum digest.Sum, err error) {
	core, err := crdt.Load(crdt.MintActor(nil, doc), chunks...)
	if err != nil {
		return sum, err
	}
	defer core.Close()
	if !sameHashes(core.Heads(), heads) {
		return sum, fmt.Errorf("its changes lead to %d heads that are not those of the journal", len(core.Heads()))
	}
	sum, err = core.Digest()
	if errors.Is(err, digest.ErrUnknown) || errors.Is(err, crdt.ErrTooDeep) {
		return sum, nil // it has no digest, and is none the worse for it
	}
	return sum, err
}

// coreCheck loads each document in the core, and holds the tables against it.
type coreCheck struct {
	load func(ctx context.Context, doc id.Document, heads []id.Hash, chunks [][]byte) error
}

func (coreCheck) Thorough() bool { return true }

func (c coreCheck) Examine(ctx context.Context, d *doctor.Document, found func(doctor.Finding)) error {
	if !d.Sound() || d.Graph.Len() == 0 || c.load == nil && d.Applying() {
		return nil
	}
	chunks, err := chunksOf(d)
	if err != nil {
		return err
	}
	if c.load != nil {
		err = c.load(ctx, d.Doc, d.Graph.Heads(), chunks)
	} else {
		err = TryLoad(d.Doc, d.Graph.Heads(), chunks)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil && d.Applying():
		return nil // the tables do not show it yet, and the core has not had all of it
	case err == nil:
		return auditTables(d, chunks, found)
	}
	found(doctor.Finding{Kind: doctor.Core, What: "all of its changes are sound, and the document cannot be loaded: " + err.Error(),
		Why: "keep the file and report it, it is a defect of the program; the changes are safe, and can be exported with syncline doc export"})
	return nil
}

// recordCheck holds the records of operations against the changes that they became.
type recordCheck struct{}

func (recordCheck) Thorough() bool { return false }

func (recordCheck) Examine(_ context.Context, d *doctor.Document, found func(doctor.Finding)) error {
	var broken []storage.Operation
	recorded := map[id.Hash]bool{}
	err := d.Operations(func(o storage.Operation) error {
		recorded[o.Hash] = true
		_, err := decodeRecord(o.Record)
		switch {
		case !d.Has(o.Hash) && !d.Lost(o.Hash):
			found(doctor.Finding{Kind: doctor.Record, Row: o.Row, Hash: o.Hash, What: "an operation was recorded here, and the change that it became is not in the file",
				Why: "sync with a remote that has the change, if one was sent it; the record is kept"})
		case err != nil:
			broken = append(broken, storage.Operation{Row: o.Row, Hash: o.Hash, Time: o.Time})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, o := range broken {
		if !d.Lost(o.Hash) {
			found(rerecord(d, o, "the record of an operation cannot be read"))
		}
	}
	return d.Rows(0, 0, func(r storage.Row) error {
		if len(r.Hash) != len(id.Hash{}) {
			return nil
		}
		h := id.Hash(r.Hash)
		if r.Origin == originLocal && !recorded[h] && d.Has(h) {
			found(rerecord(d, storage.Operation{Row: r.Row, Hash: h, Time: r.Time}, "an operation was made here and has no record"))
		}
		return nil
	})
}

// rerecord is mended by writing the record that the change allows for: its values are
// in the change, its steps are not known any more.
func rerecord(d *doctor.Document, o storage.Operation, what string) doctor.Finding {
	number := d.Number
	return doctor.Finding{Kind: doctor.Record, Row: o.Row, Hash: o.Hash, What: what, Mend: "write one from the change itself",
		Repair: func(ctx context.Context, m *storage.Mending) error {
			var c *chunk.Change
			err := m.Inspection().Document(ctx, number, func(look *storage.Look) (err error) {
				readErr := look.Bodies([]int64{o.Row}, func(b []byte) bool {
					c, err = chunk.ParseChange(append([]byte(nil), b...))
					return false
				})
				return errors.Join(readErr, err)
			})
			if err == nil && c.Hash != o.Hash {
				err = fmt.Errorf("row %d holds another change", o.Row)
			}
			if err != nil {
				return err
			}
			o.Record = newRecord(c, nil)
			return m.SetOperation(ctx, number, o, string(doctor.Record))
		}}
}
