package wire

import (
	"fmt"
	"math"

	"github.com/fxamacker/cbor/v2"
)

// frame has every field of every message, as they are on the wire. Which of them
// a type needs is for decode.go and encode.go to say; here is only how a field is
// written. CBOR's null and undefined leave a field as it is.
type frame struct {
	Type       string               `cbor:"type"`
	SenderID   string               `cbor:"senderId"`
	TargetID   string               `cbor:"targetId,omitempty"`
	Metadata   *metadataFrame       `cbor:"peerMetadata,omitempty"`
	Versions   []string             `cbor:"supportedProtocolVersions,omitempty"`
	Version    string               `cbor:"selectedProtocolVersion,omitempty"`
	DocumentID string               `cbor:"documentId,omitempty"`
	Count      *number              `cbor:"count,omitempty"`
	SessionID  string               `cbor:"sessionId,omitempty"`
	Message    string               `cbor:"message,omitempty"`
	Add        []string             `cbor:"add,omitempty"`
	Remove     []string             `cbor:"remove,omitempty"`
	NewHeads   map[string]headFrame `cbor:"newHeads,omitempty"`
	Code       string               `cbor:"code,omitempty"`
	Hash       []byte               `cbor:"hash,omitempty"`
	RetryAfter *number              `cbor:"retryAfterMs,omitempty"`
	Token      string               `cbor:"token,omitempty"`
	Heads      [][]byte             `cbor:"heads,omitempty"`
	Digest     []byte               `cbor:"digest,omitempty"`
	Data       []byte               `cbor:"data,omitempty"`
}

type metadataFrame struct {
	StorageID string  `cbor:"storageId,omitempty"`
	Ephemeral bool    `cbor:"isEphemeral"`
	Syncline  *number `cbor:"syncline,omitempty"`
	Token     string  `cbor:"token,omitempty"`
}

type headFrame struct {
	Heads     []string `cbor:"heads"`
	Timestamp *number  `cbor:"timestamp"`
}

// number is a whole number from 0 to 2^53, the ones that JavaScript can tell
// apart, which it writes as an integer or as a float.
type number uint64

const maxNumber = 1 << 53

// UnmarshalCBOR reads an integer or a float without a fraction.
func (n *number) UnmarshalCBOR(data []byte) error {
	if len(data) > 0 && data[0]>>5 == 7 {
		if data[0] == cborNull || data[0] == cborUndefined {
			return nil
		}
		var f float64
		if err := decMode.Unmarshal(data, &f); err != nil {
			return fmt.Errorf("not a number: %w", err)
		}
		if !(f >= 0 && f <= maxNumber) || f != math.Trunc(f) {
			return fmt.Errorf("%v is not a whole number from 0 to 2^53", f)
		}
		*n = number(f)
		return nil
	}
	var u uint64
	if err := decMode.Unmarshal(data, &u); err != nil {
		return fmt.Errorf("not a whole number: %w", err)
	}
	if u > maxNumber {
		return fmt.Errorf("%d is above 2^53", u)
	}
	*n = number(u)
	return nil
}

// MarshalCBOR writes an integer, or a float where a client in JavaScript would
// read a BigInt and then fail to compute with it.
func (n number) MarshalCBOR() ([]byte, error) {
	if n > math.MaxUint32 {
		return encMode.Marshal(float64(n))
	}
	return encMode.Marshal(uint64(n))
}

const (
	cborNull      = 0xf6
	cborUndefined = 0xf7
)

// The modes are made once; they are immutable and their options are constants,
// so making them cannot fail.
var (
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		IndefLength:       cbor.IndefLengthForbidden,
		MaxArrayElements:  MaxItems,
		MaxMapPairs:       MaxItems,
		MaxNestedLevels:   maxNesting,
	}.DecMode())
	encMode = must(cbor.EncOptions{ShortestFloat: cbor.ShortestFloatNone}.EncMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
