package wire

// The limits of a frame. A message beyond one of them is refused by Decode and
// by Encode alike, so that no end of ours sends what another would refuse.
const (
	// MaxFrame is how many bytes a frame may have unless the caller chooses
	// otherwise. The largest honest frame known is the history of 260,000
	// changes, sent uncompressed by a client of the first sync protocol: 30 MB.
	MaxFrame = 64 << 20

	// MaxJoin bounds the first frame that a client sends, in bytes: a token is the
	// largest part of it, and nobody has shown who he is yet.
	MaxJoin = 64 << 10

	// MaxName bounds peer, session and storage ids and protocol versions, in
	// bytes. Stock clients write at most 36.
	MaxName = 256

	// MaxText bounds the message of an error or a notice, in bytes. A longer
	// one is cut when it is sent.
	MaxText = 4 << 10

	// MaxToken bounds an access token, in bytes.
	MaxToken = 8 << 10

	// MaxItems bounds each list and each map of a message.
	MaxItems = 16 << 10

	// MaxDigestHeads bounds the heads of a digest. A document that has more is one
	// that many edit at this moment, and is not compared until it has come to rest.
	MaxDigestHeads = 256

	// DigestSize is the length of a digest, a SHA-256, in bytes.
	DigestSize = 32

	// maxNesting bounds how deep arrays and maps lie in each other. The
	// protocol's own messages need four levels; the rest is for fields that we
	// do not know and skip.
	maxNesting = 16
)
