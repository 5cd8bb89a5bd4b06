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
	return "cd " + browserDir + " && npm ci --ignore-scripts && npm test"
}

// browser runs the tests of the browser peer, and counts them by their last line.
func browser(ctx context.Context, c *checker) error {
	if c.options.noBrowser {
		c.skipped = append(c.skipped, browserDir+": -no-browser")
		return nil
	}
	chromium, err := findBrowser(ctx, c)
	if err != nil {
		return err
	}
	npm := func(args ...string) *exec.Cmd {
		cmd := c.command(ctx, "npm", args...) // in the folder: --prefix would pass over the machine's settings of npm
		cmd.Dir = filepath.Join(c.root, browserDir)
		cmd.Env = append(cmd.Env, "SYNCLINE_CHROMIUM="+chromium)
		return cmd
	}
	if !npmInstalled(filepath.Join(c.root, browserDir)) {
		if _, err := outputOf(npm("ci", "--ignore-scripts", "--no-audit", "--no-fund")); err != nil {
			return err
		}
	}
	// The command's error, if tests fail, holds what it wrote.
	out, err := outputOf(npm("test"))
	said := out
	if err != nil {
		said = err.Error()
	}
	passed, failed, ok := browserCounts(said)
	if !ok {
		return errors.Join(errors.New("the tests of the browser peer did not say how many passed"), err)
	}
	c.pass(passed)
	for range failed {
		c.fail("%s (a test)", browserDir)
	}
	if failed > 0 {
		c.printf("%s\n", indent(said))
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
