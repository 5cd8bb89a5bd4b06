package session

// Recent is a Source that remembers the bodies of the present round, so that
// passing on what has just come reads nothing.
type Recent struct {
	older  Source
	recent map[int64][]byte
	given  int
}

// NewRecent returns a Recent that remembers nothing yet; what it does not
// remember it asks older for.
func NewRecent(older Source) *Recent { return &Recent{older: older} }

// Add remembers the body of a row, which must not be modified until Forget.
func (r *Recent) Add(row int64, body []byte) {
	if r.recent == nil {
		r.recent = make(map[int64][]byte)
	}
	r.recent[row] = body
}

// Forget ends the round.
func (r *Recent) Forget() { r.recent = nil }

// Given is how many bodies were given, and taken, since it was last asked.
func (r *Recent) Given() int {
	n := r.given
	r.given = 0
	return n
}

// Bodies gives the bodies of rows in the order asked for.
func (r *Recent) Bodies(rows []int64, yield func([]byte) bool) error {
	more := true
	counted := func(body []byte) bool {
		if more = yield(body); more {
			r.given++
		}
		return more
	}
	for len(rows) > 0 && more {
		if body, ok := r.recent[rows[0]]; ok {
			counted(body)
			rows = rows[1:]
			continue
		}
		n := 1
		for n < len(rows) && r.recent[rows[n]] == nil {
			n++
		}
		if err := r.older.Bodies(rows[:n], counted); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}
