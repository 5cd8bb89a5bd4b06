// Package access says who may do what at a server of the protocol, which is a relay
// or a peer that listens: it checks access tokens, finds them in a request, and
// decides about the origins of pages and the admin pages. It stands before the
// handshake (the origin, the token) and beside each document (what its Grant says);
// it neither opens nor closes a connection, and each of its errors says with which
// code to close one.
//
// # Tokens
//
// A token is a JWT in the compact form, at most wire.MaxToken bytes, signed with
// EdDSA (Ed25519), ES256 or RS256. The kind of the key decides the algorithm, and
// the header must name that one; a key in the header, or one that the header points
// to, is not looked at. The header's kid names the key; it may be missing only if
// there is a single key. Nothing of a payload is read before its signature is
// verified. These claims are read, all others are left alone:
//
//	sub       the account: 1 to 256 bytes of printable characters
//	exp       required; to the second, without leeway
//	aud       required; has to have the server's audience, alone or in a list
//	iss       has to be the server's issuer, if that is configured
//	nbf, iat  if there, not further ahead than the leeway
//	syncline  required; what the token grants, and nothing else:
//
//	"syncline": {
//	  "docs": [
//	    {"id": "automerge:4NMNnkMhL8jXrdJ9jamS58PAVdXu", "access": "write"},
//	    {"prefix": "a1b2c3", "access": "read"},
//	    {"id": "*", "access": "read"}
//	  ],
//	  "admin": true
//	}
//
// An id is written as people pass it around, with or without automerge:. A prefix
// is the first bytes of a document's 16, in lower-case hexadecimal: an application
// that chooses ids can give each of its tenants the ids that begin alike. (Not the
// first letters of the printed id, which are no set of bytes. Ids that are to stay
// UUIDs of version 4 leave the first six bytes to be chosen.) The id * is every
// document; an empty prefix is refused, because that is what a variable which was
// not set leaves behind. Write includes read, and of several entries for a document
// the widest counts. Admin opens the admin pages and no document.
//
// Whatever is malformed (an unknown member or word, a member twice, another type)
// refuses the token with a reason that names the place, and quotes nothing of it.
//
// # Keys
//
// Keys come from a file (public keys in PEM, or a JWKS) or from the URL of a JWKS.
// Both are read again at an interval, and once more, at most so often, when a token
// names a key that is not there: a new key works at once, and one that was taken
// out is refused after the interval at the latest. While the source cannot be read,
// the last keys go on for a bounded time.
package access
