// Package admin holds the JSON shapes in which a running relay tells whoever
// looks after it of its documents. The relay writes them, the command line
// reads them, and where the relay is not running the command line fills them
// from its file, so that both say the same.
//
//	GET    /admin/documents?after=ID&limit=N   Page
//	GET    /admin/documents/ID                 Detail
//	DELETE /admin/documents/ID                 Deleted, when all of it is gone
//
// ID is a document's id as in its URL, without the automerge:. Any answer but
// 200 carries an Error. Readers pass over fields that they do not know.
package admin
