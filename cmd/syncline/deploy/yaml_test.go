package deploy

import (
	"fmt"
	"strings"
	"testing"
)

// yamlLine is one line of YAML that says something.
type yamlLine struct {
	number, indent int
	text           string
}

// parseYAML reads the part of YAML that the files here keep to, and refuses the
// rest: maps and lists in blocks, two spaces a level, and plain scalars of one line.
// What it takes means to every parser what it means here.
func parseYAML(text string) (any, error) {
	var lines []yamlLine
	for i, raw := range strings.Split(text, "\n") {
		content := strings.TrimLeft(raw, " ")
		if content == "" || content[0] == '#' {
			continue
		}
		if strings.ContainsAny(raw, "\t\r") || raw != strings.TrimRight(raw, " ") {
			return nil, fmt.Errorf("line %d: a tab, or space at its end", i+1)
		}
		l := yamlLine{i + 1, len(raw) - len(content), content}
		// An item of a list is a line of its own, and what follows the dash one more.
		for strings.HasPrefix(l.text, "- ") {
			lines = append(lines, yamlLine{l.number, l.indent, "-"})
			l = yamlLine{l.number, l.indent + 2, l.text[2:]}
		}
		lines = append(lines, l)
	}
	v, rest, err := yamlBlock(lines, 0)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("line %d: unexpected indentation", rest[0].number)
	}
	return v, err
}

// yamlBlock reads a map, a list or a scalar at an indentation.
func yamlBlock(lines []yamlLine, indent int) (any, []yamlLine, error) {
	if len(lines) == 0 || lines[0].indent != indent {
		return nil, lines, fmt.Errorf("nothing, or unexpected indentation, where a value of %d spaces belongs", indent)
	}
	if lines[0].text == "-" {
		var list []any
		for len(lines) > 0 && lines[0].indent == indent && lines[0].text == "-" {
			v, rest, err := yamlBlock(lines[1:], indent+2)
			if err != nil {
				return nil, rest, err
			}
			list, lines = append(list, v), rest
		}
		return list, lines, nil
	}
	if _, _, ok := yamlKey(lines[0].text); !ok {
		return lines[0].text, lines[1:], yamlScalar(lines[0].number, lines[0].text)
	}
	m := make(map[string]any)
	for len(lines) > 0 && lines[0].indent == indent {
		l := lines[0]
		key, value, ok := yamlKey(l.text)
		if _, twice := m[key]; !ok || twice {
			return nil, lines, fmt.Errorf("line %d: no key, or one that is there already", l.number)
		}
		lines = lines[1:]
		if value != "" {
			if err := yamlScalar(l.number, value); err != nil {
				return nil, lines, err
			}
			m[key] = value
			continue
		}
		v, rest, err := yamlBlock(lines, indent+2)
		if err != nil {
			return nil, rest, fmt.Errorf("line %d: %s: %w", l.number, key, err)
		}
		m[key], lines = v, rest
	}
	return m, lines, nil
}

// yamlKey splits a line of a map.
func yamlKey(text string) (key, value string, ok bool) {
	key, value, ok = strings.Cut(text, ":")
	if !ok || value != "" && value[0] != ' ' || strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" || key == "" {
		return "", "", false
	}
	return key, strings.TrimPrefix(value, " "), true
}

// yamlScalar refuses what is no plain scalar.
func yamlScalar(line int, s string) error {
	if strings.ContainsAny(s[:1], " !&*?|>'\"%@`{}[],#-") || strings.Contains(s, ": ") || strings.Contains(s, " #") || strings.HasSuffix(s, ":") {
		return fmt.Errorf("line %d: %q means something else in YAML, or would have to be quoted", line, s)
	}
	return nil
}

func TestYAMLThatWouldMeanSomethingElseIsRefused(t *testing.T) {
	for _, text := range []string{
		"a: b: c", "a: 'b'", "a: {b: c}", "a: [b]", "a: b #c", "a: |\n  b", "a:\n   b: c", "a: b\na: c", "a:", "\ta: b", "a: b ", "a: b\n  c: d", "a: b:", "- a\nb: c", "a: *b",
	} {
		if v, err := parseYAML(text); err == nil {
			t.Errorf("%q is read as %v", text, v)
		}
	}
	v, err := parseYAML("# c\na: b c\n\nd:\n  - e: f\n    g: h:i\n  - j\n")
	if want := "map[a:b c d:[map[e:f g:h:i] j]]"; err != nil || fmt.Sprint(v) != want {
		t.Errorf("%v, %v", v, err)
	}
}
