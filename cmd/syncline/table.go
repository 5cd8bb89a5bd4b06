package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// table is what verbs list. On a terminal it has a header, columns, and lines as
// wide as the terminal at most; for programs it has tabs, and every field whole.
type table struct {
	columns []column
	rows    [][]cell
	more    bool // lines of a table whose header was written
}

type column struct {
	name  string
	right bool // aligned right, as numbers are
	least int  // characters that it is wide at least
}

// cell is a field: in full, and as people look at it.
type cell struct {
	full  string
	short string // on a terminal; "" means as in full
}

func text(s string) cell { return cell{full: s} }

func number(n int64) cell { return cell{full: fmt.Sprint(n)} }

// size is a number of bytes.
func size(n int64) cell {
	c := cell{full: fmt.Sprint(n), short: fmt.Sprintf("%d B", n)}
	for v, units := float64(n)/1000, "kMGTPE"; v >= 1 && units != ""; v, units = v/1000, units[1:] {
		c.short = fmt.Sprintf("%.1f %cB", v, units[0])
	}
	return c
}

func (t *table) add(row ...cell) { t.rows = append(t.rows, row) }

// write prints the table. What others have written into documents cannot move the
// cursor, nor end a field or a line.
func (t *table) write(w io.Writer) error {
	var b bytes.Buffer
	if width, ok := terminal(w); ok {
		t.people(&b, width)
	} else {
		t.programs(&b)
	}
	_, err := b.WriteTo(w)
	return err
}

func (t *table) programs(b *bytes.Buffer) {
	for _, row := range t.rows {
		for i, c := range row {
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(printable(c.full))
		}
		b.WriteByte('\n')
	}
}

func (t *table) people(b *bytes.Buffer, width int) {
	if len(t.rows) == 0 {
		return
	}
	head := make([]string, len(t.columns))
	for i, c := range t.columns {
		head[i] = c.name
	}
	var lines [][]string
	if !t.more {
		lines = append(lines, head)
	}
	for _, row := range t.rows {
		line := make([]string, len(row))
		for i, c := range row {
			if line[i] = c.short; c.short == "" {
				line[i] = printable(c.full)
			}
		}
		lines = append(lines, line)
	}
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = max(c.least, utf8.RuneCountInString(c.name))
	}
	for _, line := range lines {
		for i, s := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(s))
		}
	}
	for _, line := range lines {
		var l strings.Builder
		for i, s := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(s))
			if i > 0 {
				l.WriteString("  ")
			}
			if t.columns[i].right {
				s = pad + s
			} else {
				s += pad
			}
			l.WriteString(s)
		}
		b.WriteString(cut(strings.TrimRight(l.String(), " "), width))
		b.WriteByte('\n')
	}
}

// cut shortens a line to a width in characters; 0 is no limit.
func cut(s string, width int) string {
	if width <= 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// printable takes out of a text what a terminal would not show but act on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}
