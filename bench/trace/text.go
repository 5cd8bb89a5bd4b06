package trace

// Text is a text that is edited the plain way, as a model: a gap buffer of code
// points, quick where the next edit is near the last one.
type Text struct {
	buf        []rune
	start, end int // of the gap
}

// NewText returns a text.
func NewText(s string) *Text {
	buf := []rune(s)
	return &Text{buf: buf, start: len(buf), end: len(buf)}
}

// Len is the number of code points.
func (t *Text) Len() int { return len(t.buf) - (t.end - t.start) }

// Apply carries a patch out and reports whether it lies within the text; one that
// does not changes nothing.
func (t *Text) Apply(p Patch) bool {
	if p.Pos < 0 || p.Del < 0 || p.Pos > t.Len() || p.Del > t.Len()-p.Pos {
		return false
	}
	t.move(p.Pos)
	t.end += p.Del
	for _, r := range p.Ins {
		if t.start == t.end {
			t.grow()
		}
		t.buf[t.start] = r
		t.start++
	}
	return true
}

// move puts the gap before the code point at pos.
func (t *Text) move(pos int) {
	if n := t.start - pos; n > 0 {
		copy(t.buf[t.end-n:t.end], t.buf[pos:t.start])
		t.start, t.end = pos, t.end-n
	} else if n < 0 {
		copy(t.buf[t.start:], t.buf[t.end:t.end-n])
		t.start, t.end = pos, t.end-n
	}
}

func (t *Text) grow() {
	bigger := make([]rune, 2*len(t.buf)+64)
	copy(bigger, t.buf[:t.start])
	end := len(bigger) - (len(t.buf) - t.end)
	copy(bigger[end:], t.buf[t.end:])
	t.buf, t.end = bigger, end
}

// String returns the text.
func (t *Text) String() string { return string(t.buf[:t.start]) + string(t.buf[t.end:]) }
