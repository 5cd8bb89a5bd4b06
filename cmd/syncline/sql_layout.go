package main

import (
	"bufio"
	"slices"
	"strings"
	"unicode"
)

// layout prints a table for people. Its widths come from the first rows, which wait for
// that; the rest is printed as it comes.
type layout struct {
	w      *bufio.Writer
	width  int // of the terminal; 0: no limit
	head   []string
	rows   [][]string
	right  [][]bool
	widths []int // nil while rows wait
}

// layoutRows is how many rows decide about the widths.
const layoutRows = 200

// leastColumn is how far a column is narrowed, to a start and an ellipsis.
const leastColumn = 4

func (l *layout) add(cells []string, right []bool) error {
	l.rows, l.right = append(l.rows, cells), append(l.right, right)
	if l.widths == nil && len(l.rows) < layoutRows {
		return nil
	}
	return l.flush()
}

// flush prints the rows that wait.
func (l *layout) flush() error {
	if l.widths == nil {
		l.widths = fitWidths(l.natural(), l.width)
		head := make([]string, len(l.head))
		for i, name := range l.head {
			head[i] = strings.ToUpper(printable(name))
		}
		if err := l.line(head, make([]bool, len(head))); err != nil {
			return err
		}
	}
	for i, row := range l.rows {
		if err := l.line(row, l.right[i]); err != nil {
			return err
		}
	}
	l.rows, l.right = l.rows[:0], l.right[:0]
	return nil
}

// natural are the widths that nothing is cut in.
func (l *layout) natural() []int {
	widths := make([]int, len(l.head))
	for i, name := range l.head {
		widths[i] = wide(printable(name))
	}
	for _, row := range l.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], wide(cell))
		}
	}
	return widths
}

// fitWidths narrows the widest columns until a line of all fits into a width.
func fitWidths(widths []int, width int) []int {
	if width <= 0 {
		return widths
	}
	width -= 2 * (len(widths) - 1)
	total := 0
	for _, n := range widths {
		total += n
	}
	for total > width {
		widest := slices.Max(widths)
		if widest <= leastColumn {
			return widths // the end of each line is cut
		}
		for i, n := range widths {
			if n == widest && total > width {
				widths[i]--
				total--
			}
		}
	}
	return widths
}

func (l *layout) line(cells []string, right []bool) error {
	var b strings.Builder
	for i, cell := range cells {
		if i > 0 {
			b.WriteString("  ")
		}
		cell = narrow(cell, l.widths[i])
		pad := strings.Repeat(" ", max(0, l.widths[i]-wide(cell)))
		if right[i] {
			cell = pad + cell
		} else {
			cell += pad
		}
		b.WriteString(cell)
	}
	line := strings.TrimRight(b.String(), " ")
	if l.width > 0 {
		line = narrow(line, l.width)
	}
	_, err := l.w.WriteString(line + "\n")
	return err
}

// narrow cuts a text to a width.
func narrow(s string, width int) string {
	if wide(s) <= width {
		return s
	}
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > width-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// wide is how many columns of a terminal a text takes.
func wide(s string) (n int) {
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// runeWidth is 2 for characters of East Asia and pictures, 0 for what is put on the
// one before.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana),
		0x3000 <= r && r <= 0x303f, 0xff01 <= r && r <= 0xff60, 0x1f300 <= r && r <= 0x1faff:
		return 2
	}
	return 1
}
