// Compare drives our relay and the servers that others use, stock automerge-repo
// and two of Yjs, in turn on the same work, and prints what each took beside the
// other, with our share of it:
//
//	go run ./bench/compare
//	go run ./bench/compare -work fanout,ack -rounds 5 -markdown
//
// It stands outside: each server is a process of its own, and the clients are in
// this one. They speak the servers' protocols and keep no documents, so that they
// take little of the cores that the servers need. README.md says what is measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"syncline/bench/js"
	"syncline/bench/light"
	"syncline/bench/rig"
)

// works lists all workloads.
func works() []work { return []work{fanout, ack, cold, upload, documents, offline} }

// options are the command's flags.
type options struct {
	works, sides string // names, separated by commas; "" is all
	rounds       int
	sizes        sizes
	profile      string // a file for our relay's CPU profile, by workload
	markdown     bool
	json         string // a file for all figures
}

func main() {
	if profile := os.Getenv(helperEnv); profile != "" {
		exit(helper(profile, os.Args[1:]))
	}
	var names []string
	for _, w := range works() {
		names = append(names, w.name)
	}
	o := options{sizes: full}
	flag.StringVar(&o.works, "work", "", "workloads, of "+strings.Join(names, ",")+"; all if empty")
	flag.StringVar(&o.sides, "servers", "", "servers, of syncline,automerge-repo,hocuspocus,y-websocket; all if empty")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each is measured; the table has medians")
	flag.IntVar(&o.sizes.documents, "documents", full.documents, "how many documents the workload of that name makes")
	flag.BoolVar(&o.markdown, "markdown", false, "print tables as Markdown")
	flag.StringVar(&o.json, "json", "", "write all figures of all rounds to a file")
	flag.StringVar(&o.profile, "cpuprofile", "", "write CPU profiles of our relay to this name with .workload behind it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(compare(ctx, o, os.Stdout, os.Stderr))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// compare measures and prints. What is going on goes to progress.
func compare(ctx context.Context, o options, out, progress io.Writer) error {
	dir, err := os.MkdirTemp("", "syncline-compare-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	chosen, err := choose(works(), o.works, func(w work) string { return w.name })
	if err != nil {
		return err
	}
	against, err := choose(sides(nil), o.sides, func(s side) string { return s.name })
	if err != nil {
		return err
	}
	if err := js.Available(); err != nil {
		fmt.Fprintf(progress, "only our relay is measured: %v\n", err)
		against = slices.DeleteFunc(against, func(s side) bool { return s.name != ours })
	}
	relay := ""
	if o.profile == "" && slices.ContainsFunc(against, func(s side) bool { return s.name == ours }) {
		if relay, err = light.Build(ctx, dir); err != nil {
			return err
		}
	}
	var all []table
	typed := new(papers)
works:
	for _, w := range chosen {
		t := table{work: w, title: w.title(o.sizes), sides: against}
		for round := range o.rounds {
			for _, s := range against {
				if s.name == ours {
					s.start = startOurs(relay, profileName(o.profile, w.name))
				}
				fmt.Fprintf(progress, "%s, round %d of %d: %s\n", w.name, round+1, o.rounds, s.name)
				f, err := measure(ctx, w, s, o.sizes, typed, dir)
				if err != nil {
					if ctx.Err() != nil {
						return context.Cause(ctx)
					}
					if errors.Is(err, errAbsent) {
						fmt.Fprintf(progress, "%s: %v\n", w.name, err)
						continue works
					}
					fmt.Fprintf(progress, "%s on %s: %v\n", w.name, s.name, err)
				}
				t.add(s.name, f, err)
			}
		}
		all = append(all, t)
		t.print(out, o.markdown)
	}
	fmt.Fprintf(out, "%s\n", rig.Conditions())
	if o.json != "" {
		return writeJSON(o.json, all)
	}
	return nil
}

func profileName(prefix, work string) string {
	if prefix == "" {
		return ""
	}
	return prefix + "." + work
}

// startOurs starts the command at a path, or this program with a profile.
func startOurs(path, profile string) func(ctx context.Context, dir string) (*light.Server, error) {
	if profile != "" {
		return startHelper(profile)
	}
	return func(ctx context.Context, dir string) (*light.Server, error) {
		return light.Command{Path: path, Args: []string{"relay"}}.Start(ctx, dir)
	}
}

// choose picks what is named, in the order of all. Names are without case.
func choose[T any](all []T, names string, nameOf func(T) string) ([]T, error) {
	if names == "" {
		return all, nil
	}
	wanted := strings.Split(strings.ToLower(names), ",")
	var out []T
	var known []string
	for _, v := range all {
		name := strings.ToLower(nameOf(v))
		known = append(known, name)
		if slices.Contains(wanted, name) {
			out = append(out, v)
		}
	}
	for _, w := range wanted {
		if !slices.Contains(known, w) {
			return nil, fmt.Errorf("there is no %q; there are %s", w, strings.Join(known, ", "))
		}
	}
	return out, nil
}

// errPatience is why a run is given up.
var errPatience = errors.New("it did not finish in time")

// measure does one run on a new server.
func measure(ctx context.Context, w work, s side, size sizes, typed *papers, tmp string) (_ figures, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, w.patience, errPatience)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	dir, err := os.MkdirTemp(tmp, "data-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	r := &run{sizes: size, ctx: ctx, side: s, dir: filepath.Join(dir, "data"), world: newWorld(fail), papers: typed}
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		return nil, err
	}
	if err := r.begin(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Server.Stop()) }()
	defer r.hangUp()
	f, err := w.run(r)
	if err != nil {
		return nil, fmt.Errorf("%w (%v) %s", err, r.Usage(), light.Tail(r.Said()))
	}
	return f, nil
}
