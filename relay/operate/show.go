package operate

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// showBytes is a number of bytes with three digits: 1.21 MiB.
func showBytes(n int64) string {
	if n < 1<<10 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n)/(1<<10), 0
	for v >= 999.5 && unit < 4 {
		v /= 1 << 10
		unit++
	}
	return digits(v) + " " + [...]string{"KiB", "MiB", "GiB", "TiB", "PiB"}[unit]
}

// digits is a number with three digits that mean something.
func digits(v float64) string {
	switch {
	case v < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// showCount is a whole number, in groups of three.
func showCount(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:] // narrow, and no line breaks there
	}
	return sign + s
}

// showRate is a number a second.
func showRate(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 99.95:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	}
	return showCount(int64(math.Round(v)))
}

// showPercent is how much of all something is, 0 to 100.
func showPercent(part, all int64) int64 {
	if all <= 0 {
		return 0
	}
	return min(max(int64(float64(part)/float64(all)*100), 0), 100)
}

// showSince is how long ago a time is, in its two greatest units.
func showSince(now, then time.Time) string {
	if then.IsZero() {
		return "never"
	}
	s := max(int64(now.Sub(then)/time.Second), 0)
	for _, u := range []struct {
		large, small   string
		seconds, parts int64
	}{{"d", "h", 86400, 3600}, {"h", "m", 3600, 60}, {"m", "s", 60, 1}} {
		if s >= u.seconds {
			return fmt.Sprintf("%d %s %d %s", s/u.seconds, u.large, s%u.seconds/u.parts, u.small)
		}
	}
	return fmt.Sprintf("%d s", s)
}

// showClock is a time of day; with the date, if that is not today's.
func showClock(now, t time.Time) string {
	layout := "15:04:05"
	if now.UTC().Format(time.DateOnly) != t.UTC().Format(time.DateOnly) {
		layout = "2 Jan 15:04"
	}
	return t.UTC().Format(layout)
}

// showText is a text that a client chose, without characters that are not seen or
// that turn the direction of what follows.
func showText(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// namedFlow is a Flow for the page.
type namedFlow struct {
	Flow
	Name  string
	Bytes bool // it counts bytes
}

// Rate is the last ten seconds', in whole numbers.
func (f namedFlow) Rate() int64 { return int64(math.Round(f.Last10s)) }

// bar is one second of a Flow, in a drawing of 60 by 20.
type bar struct{ X, Y, Height int }

// showBars draws the last minute of a flow, the greatest second to the full height.
func showBars(f Flow) []bar {
	const height = 20
	top := slices.Max(f.Seconds[:])
	var bars []bar
	for i, n := range f.Seconds {
		if n > 0 {
			h := max(int(math.Round(height*float64(n)/float64(top))), 1)
			bars = append(bars, bar{i, height - h, h})
		}
	}
	return bars
}

// limit is a limit for people.
type limit struct{ Name, Value string }

// showLimits are limits by name, in words and units.
func showLimits(limits Limits) []limit {
	var all []limit
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		n := limits[name]
		l := limit{name, showCount(n)}
		if base, ok := strings.CutSuffix(name, "Bytes"); ok {
			l = limit{base, showBytes(n)}
		} else if base, ok := strings.CutSuffix(name, "Ms"); ok {
			l = limit{base, showMillis(n)}
		}
		l.Name = spaced(l.Name)
		all = append(all, l)
	}
	slices.SortStableFunc(all, func(a, b limit) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// showMillis is a number of milliseconds, in seconds if they are whole.
func showMillis(n int64) string {
	if n%1000 == 0 {
		return showCount(n/1000) + " s"
	}
	return showCount(n) + " ms"
}

// spaced is a name in camel case as words.
func spaced(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) && b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// showWords is a reason as words.
func showWords(r Reason) string { return strings.ReplaceAll(r.String(), "_", " ") }
