package session

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// journal gives "old N" for row N and notes what it was asked for.
type journal struct {
	asked [][]int64
	err   error
}

func (j *journal) Bodies(rows []int64, yield func([]byte) bool) error {
	j.asked = append(j.asked, rows)
	for _, row := range rows {
		if j.err != nil || !yield(fmt.Appendf(nil, "old %d", row)) {
			return j.err
		}
	}
	return nil
}

// bodiesOf reads up to n bodies.
func bodiesOf(t *testing.T, s Source, n int, rows ...int64) []string {
	t.Helper()
	var got []string
	if err := s.Bodies(rows, func(body []byte) bool {
		got = append(got, string(body))
		return len(got) < n
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRecentReadsOnlyWhatItDoesNotRemember(t *testing.T) {
	old := new(journal)
	r := NewRecent(old)
	r.Add(3, []byte("new 3"))
	r.Add(5, []byte("new 5"))
	if got, want := bodiesOf(t, r, 10, 5, 3), []string{"new 5", "new 3"}; !slices.Equal(got, want) || old.asked != nil {
		t.Errorf("have %q and %d reads, want %q and none", got, old.asked, want)
	}
	want := []string{"old 1", "old 2", "new 3", "old 4", "new 5"}
	if got := bodiesOf(t, r, 10, 1, 2, 3, 4, 5); !slices.Equal(got, want) {
		t.Errorf("have %q, want %q", got, want)
	}
	if len(old.asked) != 2 || !slices.Equal(old.asked[0], []int64{1, 2}) || !slices.Equal(old.asked[1], []int64{4}) {
		t.Errorf("read %d, want neighbours at once and nothing else", old.asked)
	}
	if n := r.Given(); n != 7 {
		t.Errorf("%d bodies given, want 7", n)
	}
	r.Forget()
	if got := bodiesOf(t, r, 10, 3); !slices.Equal(got, []string{"old 3"}) {
		t.Errorf("have %q after Forget", got)
	}
	if n := r.Given(); n != 1 {
		t.Errorf("%d bodies given since, want 1", n)
	}
}

func TestRecentStopsWhenNoMoreIsWanted(t *testing.T) {
	for _, rows := range [][]int64{{1, 2, 3}, {3, 1, 2}, {1, 3, 2}} {
		r := NewRecent(new(journal))
		r.Add(3, []byte("new 3"))
		if got := bodiesOf(t, r, 2, rows...); len(got) != 2 {
			t.Errorf("rows %d: have %q after two were enough", rows, got)
		}
		// The one that it did not fit is not counted.
		if n := r.Given(); n != 1 {
			t.Errorf("rows %d: %d bodies given, want 1", rows, n)
		}
	}
}

func TestRecentPassesAFailureOn(t *testing.T) {
	failure := errors.New("the disk is gone")
	r := NewRecent(&journal{err: failure})
	r.Add(3, []byte("new 3"))
	if err := r.Bodies([]int64{3, 1}, func([]byte) bool { return true }); !errors.Is(err, failure) {
		t.Errorf("have %v, want %v", err, failure)
	}
}
