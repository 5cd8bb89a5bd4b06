// Package id holds the names that every other package speaks of: the hash of a
// change, the actor that made it, and the document it belongs to. It stands at
// the bottom of the import graph and does no I/O.
package id

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mr-tron/base58"
)

// Hash is the SHA-256 of a change chunk's type, length and body.
type Hash [32]byte

// ParseHash reads the 64 hexadecimal digits that String writes.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) {
		return h, fmt.Errorf("hash %q: want %d hexadecimal digits, have %d", s, 2*len(h), len(s))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return h, fmt.Errorf("hash %q: %w", s, err)
	}
	return h, nil
}

// String returns the hash as 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Base58 returns the bs58check form in which the wire protocol tells of the heads of
// others.
func (h Hash) Base58() string { return base58Check(h[:]) }

// Compare orders hashes by their bytes, the order they have on the wire.
func (h Hash) Compare(o Hash) int { return bytes.Compare(h[:], o[:]) }

// SortHashes puts hashes in the order they have on the wire.
func SortHashes(hs []Hash) { slices.SortFunc(hs, Hash.Compare) }

// Actor is the raw bytes of an actor id, in a string so that it can be a map
// key. Actors are ordered by their bytes.
type Actor string

// String returns the actor in hexadecimal.
func (a Actor) String() string { return hex.EncodeToString([]byte(a)) }

// Document is the 16 random bytes that name a document.
type Document [16]byte

// urlPrefix is the scheme of an automerge-repo document URL.
const urlPrefix = "automerge:"

// ErrDocument is what a malformed document id or URL wraps.
var ErrDocument = errors.New("not a document id")

// NewDocument returns a fresh random document id.
func NewDocument() Document {
	var d Document
	rand.Read(d[:])
	return d
}

// ParseDocument reads a document id as automerge-repo writes it, base58 with a
// four-byte double SHA-256 checksum (bs58check), bare or as an `automerge:` URL.
func ParseDocument(s string) (Document, error) {
	var d Document
	raw, err := base58.Decode(strings.TrimPrefix(s, urlPrefix))
	if err != nil || len(raw) != len(d)+4 {
		return d, fmt.Errorf("%w: %.64q: want base58 of 16 bytes and their checksum", ErrDocument, s)
	}
	copy(d[:], raw)
	if sum := checksum(d[:]); !bytes.Equal(raw[len(d):], sum[:]) {
		return Document{}, fmt.Errorf("%w: %.64q: its checksum is wrong, so a letter is mistyped", ErrDocument, s)
	}
	return d, nil
}

// String returns the bs58check form that the wire protocol uses.
func (d Document) String() string { return base58Check(d[:]) }

// URL returns the `automerge:` form that people pass around.
func (d Document) URL() string { return urlPrefix + d.String() }

func base58Check(b []byte) string {
	sum := checksum(b)
	return base58.Encode(append(slices.Clone(b), sum[:]...))
}

func checksum(b []byte) [4]byte {
	once := sha256.Sum256(b)
	twice := sha256.Sum256(once[:])
	return [4]byte(twice[:4])
}
