package chunk

// Deflate returns a type 1 chunk in its deflated form, type 2, which has the same
// hash; or raw itself where that would be no smaller.
func Deflate(raw []byte) []byte {
	_, _, body, rest, err := split(raw)
	if err != nil || len(rest) > 0 || raw[8] != typeChange {
		return raw
	}
	packed, err := deflate(body)
	if err != nil {
		return raw
	}
	out := make([]byte, 0, headerMax+len(packed))
	out = append(out, raw[:8]...)
	out = append(AppendUint(append(out, typeDeflated), uint64(len(packed))), packed...)
	if len(out) >= len(raw) {
		return raw
	}
	return out
}
