package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// The formats of results.
const (
	formatTable = "table"
	formatTabs  = "tabs"
	formatCSV   = "csv"
	formatJSON  = "json"
)

// results prints rows as they come. What others have written into documents cannot
// move the cursor of a terminal.
type results struct {
	w       *bufio.Writer
	format  string
	columns []string
	oneLine bool // JSON in one line
	safe    bool // the output is a terminal
	rows    int
	layout  *layout     // of a table
	csv     *csv.Writer // of CSV
	keys    [][]byte    // of JSON: names, with their colons
}

func newResults(w io.Writer, format string, columns []string) *results {
	width, isTerminal := terminal(w)
	if format == "" {
		if format = formatTabs; isTerminal {
			format = formatTable
		}
	}
	r := &results{w: bufio.NewWriter(w), format: format, columns: columns, safe: isTerminal}
	switch format {
	case formatTable:
		r.layout = &layout{w: r.w, width: width, head: columns}
	case formatCSV:
		r.csv = csv.NewWriter(r.w)
		r.csv.Write(r.fields(columns))
	case formatJSON:
		r.keys = jsonKeys(columns)
	}
	return r
}

// fields are texts as the output may have them.
func (r *results) fields(texts []string) []string {
	all := make([]string, len(texts))
	for i, s := range texts {
		if all[i] = s; r.safe {
			all[i] = printable(s)
		}
	}
	return all
}

func (r *results) row(values []any) (err error) {
	switch r.format {
	case formatJSON:
		err = r.object(values)
	case formatTable:
		cells := make([]string, len(values))
		for i, v := range values {
			cells[i] = printable(plain(v, "NULL"))
		}
		err = r.layout.add(cells, numeric(values))
	default:
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = plain(v, "")
		}
		if r.csv != nil {
			err = r.csv.Write(r.fields(texts))
			break
		}
		for i := range texts {
			texts[i] = printable(texts[i])
		}
		_, err = r.w.WriteString(strings.Join(texts, "\t") + "\n")
	}
	r.rows++
	return err
}

// end prints what is left.
func (r *results) end() error {
	if r.format == formatJSON {
		if r.rows == 0 {
			r.w.WriteByte('[')
		}
		r.w.WriteString("]\n")
	}
	return r.abort()
}

// abort prints what there is, without its end.
func (r *results) abort() error {
	if r.layout != nil {
		r.layout.flush()
	}
	if r.csv != nil {
		r.csv.Flush()
		if err := r.csv.Error(); err != nil {
			return err
		}
	}
	return r.w.Flush()
}

// numeric says which values are numbers, and so aligned right.
func numeric(values []any) []bool {
	right := make([]bool, len(values))
	for i, v := range values {
		switch v.(type) {
		case int64, float64:
			right[i] = true
		}
	}
	return right
}

// plain is a value as text.
func plain(v any, null string) string {
	switch v := v.(type) {
	case nil:
		return null
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		return v
	case []byte:
		return fmt.Sprintf("x'%x'", v)
	}
	return fmt.Sprint(v)
}

// object prints a row as JSON.
func (r *results) object(values []any) error {
	separator := ",\n"
	switch {
	case r.rows == 0:
		separator = "["
	case r.oneLine:
		separator = ","
	}
	b := append([]byte(separator), '{')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r.keys[i]...)
		b = appendJSONValue(b, v)
	}
	_, err := r.w.Write(append(b, '}'))
	return err
}

// jsonKeys are the names of columns as keys; those that come again have a number.
func jsonKeys(columns []string) [][]byte {
	keys := make([][]byte, len(columns))
	used := map[string]bool{}
	for i, name := range columns {
		key := name
		for n := 1; used[key]; n++ {
			key = fmt.Sprintf("%s:%d", name, n)
		}
		used[key] = true
		keys[i] = append(jsonText(key), ':')
	}
	return keys
}

func appendJSONValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return append(b, "null"...)
		}
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	case string:
		return append(b, jsonText(v)...)
	case []byte:
		return append(b, jsonText(base64.StdEncoding.EncodeToString(v))...)
	}
	return append(b, "null"...)
}

// jsonText is a JSON string in which everything that does not show is escaped.
func jsonText(s string) []byte {
	var quoted bytes.Buffer
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	e.Encode(s) // of a string there is no error
	text := strings.TrimSuffix(quoted.String(), "\n")
	if strings.IndexFunc(text, hiddenRune) < 0 {
		return []byte(text)
	}
	var b []byte
	for _, r := range text {
		switch {
		case !hiddenRune(r):
			b = append(b, string(r)...)
		case r > 0xffff:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return b
}

func hiddenRune(r rune) bool { return !unicode.IsGraphic(r) }
