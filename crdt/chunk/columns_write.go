package chunk

import (
	"bytes"
	"compress/flate"
	"fmt"
	"sync"
)

// deflateFrom is the size in bytes from which a column of a document or a bundle
// is deflated, as in other implementations. Changes hold none that are.
const deflateFrom = 256

// column is the data of one column and its specification, id<<4 | type.
type column struct {
	spec uint64
	data []byte
}

// deflaters keeps compressors, of which each has tables of a megabyte.
var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.DefaultCompression)
	if err != nil {
		panic("chunk: " + err.Error()) // only of a level that does not exist
	}
	return w
}}

// deflateColumns leaves out the empty columns and deflates those that are large
// and get smaller by it. It works in place.
func deflateColumns(columns []column) ([]column, error) {
	kept := columns[:0]
	for _, c := range columns {
		if len(c.data) == 0 {
			continue
		}
		if len(c.data) >= deflateFrom {
			small, err := deflate(c.data)
			if err != nil {
				return nil, fmt.Errorf("column %#x: %w", c.spec, err)
			}
			if len(small) < len(c.data) {
				c = column{spec: c.spec | deflatedColumn, data: small}
			}
		}
		kept = append(kept, c)
	}
	return kept, nil
}

// deflate compresses to raw DEFLATE.
func deflate(b []byte) ([]byte, error) {
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	var out bytes.Buffer
	w.Reset(&out)
	if _, err := w.Write(b); err != nil {
		return nil, fmt.Errorf("deflate: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("deflate: %w", err)
	}
	return out.Bytes(), nil
}

// appendTable appends the table of columns, which must be in ascending order and
// not empty: their number, then specification and length of each.
func appendTable(b []byte, columns []column) []byte {
	b = AppendUint(b, uint64(len(columns)))
	for _, c := range columns {
		b = AppendUint(AppendUint(b, c.spec), uint64(len(c.data)))
	}
	return b
}

// appendColumns appends the data of the columns, in the order of their table.
func appendColumns(b []byte, columns []column) []byte {
	for _, c := range columns {
		b = append(b, c.data...)
	}
	return b
}
