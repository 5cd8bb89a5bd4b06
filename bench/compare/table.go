package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// table is what all rounds of a workload gave.
type table struct {
	work  work
	title string
	sides []side
	rows  []outcome
}

// outcome is one run.
type outcome struct {
	Work    string  `json:"work"`
	Server  string  `json:"server"`
	Figures figures `json:"figures,omitempty"`
	Error   string  `json:"error,omitempty"`
	late    bool
}

func (t *table) add(server string, f figures, err error) {
	o := outcome{Work: t.work.name, Server: server, Figures: f}
	if err != nil {
		o.Error, o.late = err.Error(), errors.Is(err, errPatience)
	}
	t.rows = append(t.rows, o)
}

// median is the middle of what a server's runs gave for a metric.
func (t *table) median(server, metric string) (float64, bool) {
	var all []float64
	for _, o := range t.rows {
		if v, ok := o.Figures[metric]; ok && o.Server == server {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2, true
	}
	return all[len(all)/2], true
}

// failed says why a server has no figures at all: it was too slow, or there was an
// error. It is "" when a run succeeded.
func (t *table) failed(server string) string {
	why := ""
	for _, o := range t.rows {
		switch {
		case o.Server != server:
		case o.Error == "":
			return ""
		case o.late:
			why = fmt.Sprintf("> %.0f s", t.work.patience.Seconds())
		default:
			why = "failed"
		}
	}
	return why
}

// cell is a figure, and our share of it where it is another server's.
func (t *table) cell(server string, m metric) (value, ratio string) {
	v, ok := t.median(server, m.name)
	if !ok {
		if why := t.failed(server); why != "" {
			return why, ""
		}
		return "-", ""
	}
	value = fmt.Sprintf(m.format, v)
	if we, ok := t.median(ours, m.name); ok && server != ours && v != 0 {
		ratio = fmt.Sprintf("%.2f", we/v)
	}
	return value, ratio
}

// print writes the table, at most 80 columns wide unless it is Markdown.
func (t *table) print(w io.Writer, markdown bool) {
	if markdown {
		t.markdown(w)
		return
	}
	fmt.Fprintf(w, "\n%s: %s\n%-16s", t.work.name, t.title, "")
	for _, s := range t.sides {
		fmt.Fprintf(w, "%*s", columnOf(s), s.name)
	}
	fmt.Fprintln(w)
	for _, m := range t.work.metrics {
		name := m.name
		if m.higher {
			name += " +"
		}
		fmt.Fprintf(w, "%-16s", name)
		for _, s := range t.sides {
			value, ratio := t.cell(s.name, m)
			if ratio != "" {
				ratio = " x" + ratio
			}
			fmt.Fprintf(w, "%*s", columnOf(s), value+ratio)
		}
		fmt.Fprintln(w)
	}
}

// columnOf is the width of a server's column: ours has no ratios.
func columnOf(s side) int {
	if s.name == ours {
		return 10
	}
	return 18
}

func (t *table) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n| |", upperFirst(t.title))
	rule := "|---|"
	for _, s := range t.sides {
		fmt.Fprintf(w, " %s |", s.name)
		rule += "---|"
	}
	fmt.Fprintf(w, "\n%s\n", rule)
	for _, m := range t.work.metrics {
		fmt.Fprintf(w, "| %s |", m.name)
		for _, s := range t.sides {
			value, ratio := t.cell(s.name, m)
			if ratio != "" {
				ratio = " (" + ratio + ")"
			}
			fmt.Fprintf(w, " %s%s |", value, ratio)
		}
		fmt.Fprintln(w)
	}
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// writeJSON writes every run.
func writeJSON(path string, all []table) error {
	var rows []outcome
	for _, t := range all {
		rows = append(rows, t.rows...)
	}
	b, err := json.MarshalIndent(rows, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
