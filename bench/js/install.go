package js

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// RequireEnv names the variable that turns a missing Node or node_modules from a
// skipped test into a failed one. The check command sets it to 1.
const RequireEnv = "SYNCLINE_REQUIRE_JS"

// minNode is the oldest Node that the packages in package.json run on.
const minNode = 20

// Dir returns the folder that holds package.json and the workers: bench/js of
// the module that the working directory is in, or else of the one that this
// package was compiled from.
func Dir() (string, error) {
	if at, err := os.Getwd(); err == nil {
		for {
			dir := filepath.Join(at, "bench", "js")
			if exists(filepath.Join(at, "go.mod")) && exists(filepath.Join(dir, "package-lock.json")) {
				return dir, nil
			}
			up := filepath.Dir(at)
			if up == at {
				break
			}
			at = up
		}
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		if dir := filepath.Dir(file); exists(filepath.Join(dir, "package-lock.json")) {
			return dir, nil
		}
	}
	return "", errors.New("find bench/js: run this inside the module's folder")
}

// Available says whether workers can be started: nil, or what is missing and
// what to do about it. It starts no network request.
func Available() error {
	dir, err := Dir()
	if err != nil {
		return err
	}
	if err := checkNode(); err != nil {
		return err
	}
	return installed(dir)
}

// TB is the part of testing.TB that Require uses.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Require lets a test go on only if workers can be started. Otherwise the test is
// skipped, or failed if SYNCLINE_REQUIRE_JS is 1.
func Require(t TB) {
	t.Helper()
	err := Available()
	switch {
	case err == nil:
	case os.Getenv(RequireEnv) == "1":
		t.Fatalf("%s=1, but Node cannot be used: %v", RequireEnv, err)
	default:
		t.Skipf("needs Node: %v", err)
	}
}

// Install puts the packages that package-lock.json names into node_modules, by
// npm ci, unless they are there already. Callers in several processes wait for
// each other.
func Install(ctx context.Context) error {
	dir, err := Dir()
	if err != nil {
		return err
	}
	if err := checkNode(); err != nil {
		return err
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("install node packages: npm is not in PATH; install Node.js %d or newer with npm: %w", minNode, err)
	}
	unlock, err := lockFile(ctx, filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return fmt.Errorf("install node packages: %w", err)
	}
	defer unlock()
	if installed(dir) == nil {
		return nil
	}
	// No package needs its install script: what one of them would compile comes prebuilt.
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci in %s: %w\n%s", dir, err, strings.TrimSpace(string(out)))
	}
	return installed(dir)
}

func checkNode() error {
	node, err := exec.LookPath("node")
	if err != nil {
		return fmt.Errorf("node is not in PATH; install Node.js %d or newer: %w", minNode, err)
	}
	out, err := exec.Command(node, "--version").Output()
	if err != nil {
		return fmt.Errorf("run %s --version: %w", node, err)
	}
	var major int
	version := strings.TrimSpace(string(out))
	if _, err := fmt.Sscanf(version, "v%d.", &major); err != nil || major < minNode {
		return fmt.Errorf("%s is version %s; install Node.js %d or newer", node, version, minNode)
	}
	return nil
}

// lock is what package-lock.json and npm's own record of an installation,
// node_modules/.package-lock.json, have in common.
type lock struct {
	Packages map[string]struct {
		Version   string
		Integrity string
		Optional  bool
	}
}

// installed compares what is in node_modules with package-lock.json. npm writes
// its record last, so an installation that was cut short does not count.
func installed(dir string) error {
	const advice = "run npm ci in bench/js, or go run ./cmd/check"
	var want, have lock
	if err := readJSON(filepath.Join(dir, "package-lock.json"), &want); err != nil {
		return err
	}
	err := readJSON(filepath.Join(dir, "node_modules", ".package-lock.json"), &have)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("node packages are not installed: %s", advice)
	} else if err != nil {
		return err
	}
	for name, p := range want.Packages {
		if name == "" {
			continue
		}
		h, ok := have.Packages[name]
		if !ok && p.Optional {
			continue
		}
		if !ok || h.Version != p.Version || h.Integrity != p.Integrity {
			return fmt.Errorf("%s: package-lock.json wants version %s, %q is installed: %s", name, p.Version, h.Version, advice)
		}
	}
	return nil
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read node packages: %w", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
