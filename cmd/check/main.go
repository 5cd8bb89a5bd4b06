// Command check runs every check of this repository, which is what CI runs too:
// formatting, vet, staticcheck, layering, all tests under the race detector with
// stock JavaScript clients, the simulated networks in their full number without it,
// the browser peer in Chromium, a few seconds of each fuzz target, each benchmark once
// at a tiny size, and the demo. It installs the Node packages that it needs, and
// Chromium where it can. It goes on after a failure and ends with a line
// "N passed, N failed" that counts
// tests, fuzz targets, benchmarks and steps; the exit code is 1 if any failed.
//
//	go run ./cmd/check
//	go run ./cmd/check -only vet,layering
//
// A flag can be given in the environment: -fuzztime as SYNCLINE_FUZZTIME. The flag
// wins.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are what the flags say.
type options struct {
	fuzzTime time.Duration // for each fuzz target
	timeout  time.Duration // for the tests of one package
	only     string        // names of steps, with commas; all if empty
	// noBrowser leaves out the tests that need a browser.
	noBrowser bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	var o options
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&o.fuzzTime, "fuzztime", 5*time.Second, "how long to run each fuzz target")
	flags.DurationVar(&o.timeout, "timeout", 20*time.Minute, "how long the tests of one package may take")
	flags.StringVar(&o.only, "only", "", "comma-separated steps to run: "+strings.Join(stepNames(), ", "))
	flags.BoolVar(&o.noBrowser, "no-browser", false, "leave out the tests that need Chromium")
	err := setFromEnvironment(flags, os.LookupEnv)
	if err == nil {
		err = flags.Parse(args)
	}
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	var selected []step
	if err == nil {
		selected, err = selectSteps(o.only)
	}
	if err != nil {
		fmt.Fprintln(stderr, "check:", err)
		return 2
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "check:", err)
		return 1
	}
	c := &checker{options: o, root: root, out: stdout}
	c.runAll(ctx, selected)
	return c.finish()
}

// setFromEnvironment sets each flag from its variable: -fuzztime from
// SYNCLINE_FUZZTIME.
func setFromEnvironment(flags *flag.FlagSet, lookup func(string) (string, bool)) error {
	var errs []error
	flags.VisitAll(func(f *flag.Flag) {
		name := "SYNCLINE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value, ok := lookup(name); ok {
			if err := f.Value.Set(value); err != nil {
				errs = append(errs, fmt.Errorf("%s=%q: %w", name, value, err))
			}
		}
	})
	return errors.Join(errs...)
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	gomod := strings.TrimSpace(string(out))
	if gomod == "" || gomod == os.DevNull {
		return "", errors.New("not inside a module: run this in the repository's folder")
	}
	return filepath.Dir(gomod), nil
}
