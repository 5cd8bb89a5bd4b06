package doctor

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"syncline/storage"
)

// export writes evidence into a directory: for each row its bytes as they lie in the
// file, row-N-S.change and row-N-S.head, and row-N-S.json, which says what they are. S is the
// start of the SHA-256 of both. What it has
// written is on the disk when rows returns.
type export struct {
	dir  string
	made string // dir, once there is something in it
}

func newExport(path, dir string) *export {
	if dir == "" {
		dir = path + ".evidence"
	}
	return &export{dir: dir}
}

// exported is what a row-N.json says.
type exported struct {
	Store    string `json:"store"`
	Document string `json:"document"`
	Row      int64  `json:"row"`
	Hash     string `json:"hash"` // that the row claims
	Actor    string `json:"actor"`
	Seq      int64  `json:"seq"`
	Origin   string `json:"origin"`
	Stored   string `json:"stored"`
	Kind     Kind   `json:"kind"`
	What     string `json:"what"`
	Change   string `json:"change"` // files
	Head     string `json:"head"`
	Exported string `json:"exported"`
}

// rows writes the rows of a finding.
func (x *export) rows(ctx context.Context, i *storage.Inspection, f *Finding) error {
	if err := os.MkdirAll(x.dir, 0o700); err != nil {
		return fmt.Errorf("make the directory for evidence: %w", err)
	}
	x.made = x.dir
	err := i.Documents(ctx, func(d storage.InspectedDocument) error {
		if d.Doc != f.Document {
			return nil
		}
		return i.Document(ctx, d.Number, func(look *storage.Look) error {
			for _, n := range f.Rows {
				err := look.Rows(n-1, storage.MaxBody, func(r storage.Row) error {
					if r.Row != n {
						return errEnough
					}
					return errors.Join(x.row(i.Path(), f, r), errEnough)
				})
				if err != nil && !onlyEnough(err) {
					return err
				}
			}
			return errEnough
		})
	})
	if err != nil && !onlyEnough(err) {
		return fmt.Errorf("write evidence to %s; nothing was mended without it: %w", x.dir, err)
	}
	return nil
}

var errEnough = errors.New("enough")

func onlyEnough(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return !errors.Is(err, errEnough) })
	}
	return errors.Is(err, errEnough)
}

func (x *export) row(store string, f *Finding, r storage.Row) error {
	sum := sha256.Sum256(append(slices.Clone(r.Head), r.Body...))
	name := fmt.Sprintf("row-%d-%x", r.Row, sum[:4]) // a row that is damaged again is another
	b, err := json.MarshalIndent(exported{
		Store: store, Document: f.Document.URL(), Row: r.Row, Hash: fmt.Sprintf("%x", r.Hash), Actor: fmt.Sprintf("%x", r.Actor), Seq: r.ActorSeq,
		Origin: r.Origin, Stored: r.Time.UTC().Format(time.RFC3339Nano), Kind: f.Kind, What: f.What,
		Change: name + ".change", Head: name + ".head", Exported: time.Now().UTC().Format(time.RFC3339),
	}, "", "  ")
	if err != nil {
		return err
	}
	for _, part := range []struct {
		suffix string
		bytes  []byte
	}{{".change", r.Body}, {".head", r.Head}, {".json", append(b, '\n')}} {
		if err := write(filepath.Join(x.dir, name+part.suffix), part.bytes); err != nil {
			return err
		}
	}
	return syncDir(x.dir)
}

// write puts a file in place whole, and on the disk.
func write(path string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".evidence-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
