package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"syncline/bench/js"
)

// steps lists all checks, the quick ones first.
func steps() []step {
	return []step{
		{"compiler", fixed("go env CGO_ENABLED CC"), compiler},
		{"gofmt", fixed("gofmt -l ."), gofmt},
		{"vet", fixed("go vet ./..."), goTool("vet", "./...")},
		{"staticcheck", fixed("go tool staticcheck ./..."), goTool("tool", "staticcheck", "./...")},
		{"layering", fixed(strings.Join(layeringArgs, " ")), layering},
		{"node", fixed("cd bench/js && npm ci --ignore-scripts   (unless it is done)"), node},
		{"test", testCommand, tests},
		{"simulation", simulationCommand, simulation},
		{"browser", browserCommand, browser},
		{"fuzz", fuzzCommand, fuzz},
		{"bench", fixed("SYNCLINE_BENCH=tiny " + strings.Join(benchArgs, " ")), benchmarks},
		{"demo", fixed("go run ./cmd/syncline demo"), demo},
	}
}

func fixed(command string) func(options) string { return func(options) string { return command } }

func stepNames() []string {
	var names []string
	for _, s := range steps() {
		names = append(names, s.name)
	}
	return names
}

// selectSteps returns the named steps in their usual order, or all.
func selectSteps(only string) ([]step, error) {
	all := steps()
	if only == "" {
		return all, nil
	}
	names := strings.Split(only, ",")
	for _, name := range names {
		if !slices.Contains(stepNames(), name) {
			return nil, fmt.Errorf("there is no step %q; there are %s", name, strings.Join(stepNames(), ", "))
		}
	}
	return slices.DeleteFunc(all, func(s step) bool { return !slices.Contains(names, s.name) }), nil
}

// compiler says in plain words what a hundred linker errors would mean.
func compiler(ctx context.Context, c *checker) error {
	out, err := c.output(ctx, "go", "env", "CGO_ENABLED", "CC")
	if err != nil {
		return err
	}
	enabled, cc, _ := strings.Cut(strings.TrimSpace(out), "\n")
	program, _, _ := strings.Cut(strings.TrimSpace(cc), " ")
	_, lookErr := exec.LookPath(program)
	switch {
	case lookErr != nil:
		return fmt.Errorf("no C compiler: %q is not in PATH. SQLite and the Automerge core are C: install gcc or clang, or set CC", program)
	case enabled != "1":
		return errors.New("cgo is off (CGO_ENABLED=0), but SQLite and the Automerge core are C: unset it")
	}
	return nil
}

func gofmt(ctx context.Context, c *checker) error {
	// The one that belongs to the Go that runs this, wherever PATH leads.
	root, err := c.output(ctx, "go", "env", "GOROOT")
	if err != nil {
		return err
	}
	program := filepath.Join(strings.TrimSpace(root), "bin", "gofmt")
	if _, err := os.Stat(program); err != nil {
		program = "gofmt"
	}
	out, err := c.output(ctx, program, "-l", ".")
	if err != nil {
		return err
	}
	if out != "" {
		return fmt.Errorf("not formatted; run gofmt -w on:\n%s", out)
	}
	return nil
}

func goTool(args ...string) func(context.Context, *checker) error {
	return func(ctx context.Context, c *checker) error {
		_, err := c.output(ctx, "go", args...)
		return err
	}
}

func node(ctx context.Context, _ *checker) error { return js.Install(ctx) }

func demo(ctx context.Context, c *checker) error {
	out, err := c.output(ctx, "go", "run", "./cmd/syncline", "demo")
	if err == nil {
		c.printf("%s\n", indent(out))
	}
	return err
}
