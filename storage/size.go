package storage

import "context"

// Size is how large a store is.
type Size struct {
	Documents int64
	Segments  int64
	Bytes     int64 // of the file, without its write-ahead log
}

// Size counts documents and segments and asks for the file's size, which costs
// about a millisecond for a hundred thousand documents.
func (s *Store) Size(ctx context.Context) (Size, error) {
	var n Size
	err := s.row(ctx, []any{&n.Documents, &n.Segments, &n.Bytes}, `SELECT (SELECT count(*) FROM documents WHERE deleting = 0),
		(SELECT count(*) FROM segments), page_count * page_size FROM pragma_page_count, pragma_page_size`)
	return n, err
}
