package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of go test -json.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build output
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string // the import path whose build failed
}

// packageResult is what came of one package's test binary. Only top-level tests
// count; a subtest shows in the output of its test.
type packageResult struct {
	Package    string
	Status     string // pass, fail or skip (no tests)
	Elapsed    float64
	Passed     []string
	Failed     []string // those without an end included
	Skipped    []string
	Benchmarks []string // result lines

	lines   []line // all output, in order
	running map[string]bool
}

type line struct{ test, text string }

// readEvents reads the events of any number of packages, interleaved, and hands
// each package over when it is done.
func readEvents(r io.Reader, done func(*packageResult)) error {
	packages := map[string]*packageResult{}
	builds := map[string]*strings.Builder{}
	in := bufio.NewReader(r)
	for {
		text, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(text)) > 0 {
			var e event
			if jsonErr := json.Unmarshal(text, &e); jsonErr != nil {
				return fmt.Errorf("%.200q: %w", text, jsonErr)
			}
			if e.Action == "build-output" {
				if builds[e.ImportPath] == nil {
					builds[e.ImportPath] = &strings.Builder{}
				}
				builds[e.ImportPath].WriteString(e.Output)
			} else if e.Package != "" {
				p := packages[e.Package]
				if p == nil {
					p = &packageResult{Package: e.Package, running: map[string]bool{}}
					packages[e.Package] = p
				}
				if p.add(e, builds) {
					delete(packages, e.Package)
					done(p)
				}
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	for _, p := range packages {
		p.end("fail") // go test ended before it did
		done(p)
	}
	return nil
}

// add takes in one event and says whether the package is done.
func (p *packageResult) add(e event, builds map[string]*strings.Builder) bool {
	top := e.Test != "" && !strings.Contains(e.Test, "/")
	switch e.Action {
	case "run":
		// A benchmark has no end of its own.
		if top && !strings.HasPrefix(e.Test, "Benchmark") {
			p.running[e.Test] = true
		}
	case "output":
		p.lines = append(p.lines, line{e.Test, e.Output})
	case "pass", "fail", "skip":
		if e.Test == "" {
			if b := builds[e.FailedBuild]; e.FailedBuild != "" && b != nil {
				p.lines = append(p.lines, line{text: b.String()})
			}
			p.Elapsed = e.Elapsed
			p.end(e.Action)
			return true
		}
		if !top {
			break
		}
		delete(p.running, e.Test)
		switch e.Action {
		case "pass":
			p.Passed = append(p.Passed, e.Test)
		case "fail":
			p.Failed = append(p.Failed, e.Test)
		case "skip":
			p.Skipped = append(p.Skipped, e.Test)
		}
	}
	return false
}

func (p *packageResult) end(status string) {
	p.Status = status
	unfinished := make([]string, 0, len(p.running))
	for test := range p.running {
		unfinished = append(unfinished, test)
	}
	slices.Sort(unfinished)
	p.Failed = append(p.Failed, unfinished...)

	// A benchmark's name and its result are one line, but may be two events.
	var all strings.Builder
	for _, l := range p.lines {
		all.WriteString(l.text)
	}
	for text := range strings.Lines(all.String()) {
		if strings.HasPrefix(text, "Benchmark") && strings.Contains(text, " ns/op") {
			p.Benchmarks = append(p.Benchmarks, strings.TrimSpace(text))
		}
	}
}

// failureOutput returns what the failed tests and the package itself wrote; all of
// it when no test in particular failed.
func (p *packageResult) failureOutput() string {
	var b strings.Builder
	for _, l := range p.lines {
		test, _, _ := strings.Cut(l.test, "/")
		if len(p.Failed) == 0 || test == "" || slices.Contains(p.Failed, test) {
			b.WriteString(l.text)
		}
	}
	return b.String()
}

// reason returns what a skipped test said, on one line.
func (p *packageResult) reason(test string) string {
	var said []string
	for _, l := range p.lines {
		text := strings.TrimSpace(l.text)
		if l.test == test && !strings.HasPrefix(text, "=== ") && !strings.HasPrefix(text, "--- ") && text != "" {
			said = append(said, text)
		}
	}
	return strings.Join(said, " ")
}
