package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// browserDir is the TypeScript peer, from the module's folder.
const browserDir = "peer/browser"

// browserPrograms are names of the browser that the tests can drive.
var browserPrograms = []string{"chromium", "chromium-browser", "google-chrome"}

func browserCommand(o options) string {
	if o.noBrowser {
		return "left out: -no-browser"
	}
	parts := []string{"cd " + browserDir, "npm ci --ignore-scripts"}
	for _, s := range browserSuites {
		parts = append(parts, strings.Join(s.args, " "))
	}
	return strings.Join(parts, " && ")
}

// browserSuite is one command of the step, run in the peer's folder.
type browserSuite struct {
	name string
	args []string
	// counted: it says at its end how many of its tests passed and failed.
	// What does not passes or fails as one.
	counted bool
}

var browserSuites = []browserSuite{
	{"the browser peer", []string{"npm", "test"}, true},
	{"the page in dist is what its sources make", []string{"node", "demo/build.mjs", "--check"}, true},
	{"the page's types", []string{"npx", "tsc", "--noEmit", "-p", "demo"}, false},
	{"the page", []string{"npx", "playwright", "test", "-c", "demo"}, true},
}

// browser runs what holds the browser peer and its page. All of it runs, whatever
// fails before.
func browser(ctx context.Context, c *checker) error {
	if c.options.noBrowser {
		c.skipped = append(c.skipped, browserDir+": -no-browser")
		return nil
	}
	chromium, err := findBrowser(ctx, c)
	if err != nil {
		return err
	}
	dir := filepath.Join(c.root, browserDir)
	command := func(args ...string) *exec.Cmd {
		cmd := c.command(ctx, args[0], args[1:]...) // in the folder: --prefix would pass over the machine's settings of npm
		cmd.Dir = dir
		cmd.Env = append(cmd.Env, "SYNCLINE_CHROMIUM="+chromium)
		return cmd
	}
	if !npmInstalled(dir) {
		if _, err := outputOf(command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")); err != nil {
			return err
		}
	}
	var errs []error
	for _, s := range browserSuites {
		out, err := outputOf(command(s.args...))
		errs = append(errs, s.count(c, out, err))
	}
	return errors.Join(errs...)
}

// count enters what a suite said into the totals. err is the command's, and holds
// what it wrote if it failed.
func (s browserSuite) count(c *checker, out string, err error) error {
	if !s.counted {
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		c.pass(1)
		return nil
	}
	if err != nil {
		out = err.Error()
	}
	passed, failed, ok := browserCounts(out)
	if !ok {
		return errors.Join(fmt.Errorf("%s: the tests did not say how many passed", s.name), err)
	}
	if err != nil && failed == 0 {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	c.pass(passed)
	for range failed {
		c.fail("%s: %s (a test)", browserDir, s.name)
	}
	if failed > 0 {
		c.printf("%s\n", indent(out))
	}
	return nil
}

var countsLine = regexp.MustCompile(`(?m)^(\d+) passed, (\d+) failed$`)

// browserCounts reads the last line that says how many tests passed and failed.
func browserCounts(said string) (passed, failed int, ok bool) {
	all := countsLine.FindAllStringSubmatch(said, -1)
	if len(all) == 0 {
		return 0, 0, false
	}
	last := all[len(all)-1]
	passed, _ = strconv.Atoi(last[1])
	failed, _ = strconv.Atoi(last[2])
	return passed, failed, true
}

// findBrowser returns the program, which it installs if it is missing and can be.
func findBrowser(ctx context.Context, c *checker) (string, error) {
	if at := os.Getenv("SYNCLINE_CHROMIUM"); at != "" {
		return at, nil
	}
	look := func() string {
		for _, name := range browserPrograms {
			if at, err := exec.LookPath(name); err == nil {
				return at
			}
		}
		return ""
	}
	if at := look(); at != "" {
		return at, nil
	}
	const advice = "install Chromium, say where it is by SYNCLINE_CHROMIUM, or leave these tests out by -no-browser"
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return "", fmt.Errorf("there is no %s: %s", strings.Join(browserPrograms, ", "), advice)
	}
	c.printf("   installing Chromium\n")
	if _, err := c.output(ctx, "apt-get", "install", "--yes", "--no-install-recommends", "chromium"); err != nil {
		return "", fmt.Errorf("%s: %w", advice, err)
	}
	if at := look(); at != "" {
		return at, nil
	}
	return "", fmt.Errorf("chromium was installed and is not in PATH: %s", advice)
}

// npmInstalled reports whether npm has installed a folder's packages since its
// lock file was written.
func npmInstalled(dir string) bool {
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return false
	}
	have, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	return err == nil && !have.ModTime().Before(lock.ModTime())
}
