package crdt

// TextSplice is one edit of a text: at a position, so many code points go, and
// others come in their place.
type TextSplice struct {
	Pos, Del int
	Text     string
}

// maxDistance is how many insertions and deletions of single characters are looked
// for between two texts: the time goes with its square, the memory too (a quarter of
// a megabyte). Texts further apart are one splice between what they begin and end with.
const maxDistance = 256

// splicesOf lists few splices that make one text of another, in order: each works on
// what those before it have made.
func splicesOf(from, to string) []TextSplice {
	a, b := []rune(from), []rune(to)
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < len(a)-start && end < len(b)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	a, b = a[start:len(a)-end], b[start:len(b)-end]
	switch {
	case len(a) == 0 && len(b) == 0:
		return nil
	case len(a) == 0 || len(b) == 0:
		return []TextSplice{{start, len(a), string(b)}}
	}
	steps, ok := shortest(a, b)
	if !ok {
		return []TextSplice{{start, len(a), string(b)}}
	}
	return joined(steps, b, start)
}

// step is one character that stays, goes or comes.
type editStep uint8

const (
	stays editStep = iota
	goes
	comes
)

// joined makes splices of steps.
func joined(steps []editStep, b []rune, start int) (out []TextSplice) {
	pos, last := start, stays
	taken := 0 // of b
	for _, s := range steps {
		if s == stays {
			pos++
			taken++
			last = s
			continue
		}
		if last == stays {
			out = append(out, TextSplice{Pos: pos})
		}
		now := &out[len(out)-1]
		if s == goes {
			now.Del++
		} else {
			now.Text += string(b[taken])
			taken++
			pos++
		}
		last = s
	}
	return out
}

// shortest finds the fewest steps from a to b, by the greedy algorithm of Myers: for
// each number of steps, how far one gets on each diagonal.
func shortest(a, b []rune) ([]editStep, bool) {
	limit := min(len(a)+len(b), maxDistance)
	reach := make([]int, 2*limit+3) // by diagonal: how much of a is done
	var rounds [][]int
	for d := 0; d <= limit; d++ {
		rounds = append(rounds, append([]int(nil), reach[limit+1-d:limit+2+d]...))
		for k := -d; k <= d; k += 2 {
			x := further(reach, limit+1, k, d)
			for y := x - k; x < len(a) && y < len(b) && a[x] == b[y]; y++ {
				x++
			}
			reach[limit+1+k] = x
			if x >= len(a) && x-k >= len(b) {
				return backwards(rounds, len(a), len(b)), true
			}
		}
	}
	return nil, false
}

// further is how much of a is done on diagonal k after one more step.
func further(reach []int, zero, k, d int) int {
	if k == -d || k != d && reach[zero+k-1] < reach[zero+k+1] {
		return reach[zero+k+1]
	}
	return reach[zero+k-1] + 1
}

// backwards follows the rounds from the end to the beginning.
func backwards(rounds [][]int, x, y int) []editStep {
	var steps []editStep
	for d := len(rounds) - 1; d >= 0; d-- {
		k := x - y
		at := func(k int) int { return rounds[d][k+d] }
		px, s := 0, stays
		if d > 0 {
			if k == -d || k != d && at(k-1) < at(k+1) {
				px, s = at(k+1), comes
			} else {
				px, s = at(k-1)+1, goes
			}
		}
		for ; x > px; x, y = x-1, y-1 {
			steps = append(steps, stays)
		}
		switch s {
		case comes:
			steps = append(steps, comes)
			y--
		case goes:
			steps = append(steps, goes)
			x--
		}
	}
	for i, j := 0, len(steps)-1; i < j; i, j = i+1, j-1 {
		steps[i], steps[j] = steps[j], steps[i]
	}
	return steps
}
