package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module = "syncline"
	core   = "github.com/automerge/automerge-go" // the C core's Go package
)

// layer is the rule of one package or folder.
type layer struct {
	pkg  string
	pure bool // knows no I/O and no cgo
	may  []string
}

// layers says which packages of the module each package may import, tests apart.
// A name ending in /... stands for a folder and all below it. The first rule that
// matches a package is its rule.
var layers = []layer{
	{pkg: "crdt/id", pure: true},
	{pkg: "crdt/digest", pure: true},
	{pkg: "crdt/value", pure: true, may: []string{"crdt/id", "crdt/digest"}},
	{pkg: "crdt/value/valuetest", pure: true, may: []string{"crdt/value"}},
	{pkg: "crdt/merge/mergetest", pure: true, may: []string{"crdt/id", "crdt/value", "crdt/value/valuetest", "crdt/merge"}},
	{pkg: "crdt/merge", pure: true, may: []string{"crdt/digest", "crdt/value"}},
	{pkg: "crdt/schema", pure: true, may: []string{"crdt/digest", "crdt/value", "crdt/merge"}},
	{pkg: "crdt/chunk", pure: true, may: []string{"crdt/id"}},
	{pkg: "crdt/graph", pure: true, may: []string{"crdt/id", "crdt/chunk"}},
	{pkg: "crdt/check", pure: true, may: []string{"crdt/id", "crdt/chunk", "crdt/graph"}},
	{pkg: "crdt/intake", pure: true, may: []string{"crdt/id", "crdt/chunk", "crdt/graph", "crdt/check"}},
	{pkg: "crdt/dirty", pure: true, may: []string{"crdt/id", "crdt/chunk"}},
	{pkg: "crdt/session", pure: true, may: []string{"crdt/id", "crdt/chunk", "crdt/graph"}},
	{pkg: "crdt/crdttest", may: []string{"crdt", "crdt/..."}}, // for tests
	{pkg: "crdt", may: []string{"crdt/..."}},
	{pkg: "storage/fold", may: []string{"storage", "crdt/id", "crdt/chunk", "crdt/graph"}},
	{pkg: "storage/query", may: []string{"storage", "crdt/id"}},
	{pkg: "storage", may: []string{"crdt/id"}},
	{pkg: "relay/wire", may: []string{"crdt/id"}},
	{pkg: "relay/wire/socket", may: []string{"relay/wire"}},
	{pkg: "relay/wire/admin", may: []string{"storage", "crdt/id"}},
	{pkg: "relay/wire/access/accesstest", may: []string{"relay/wire", "relay/wire/access", "crdt/id", "crdt/session"}},
	{pkg: "relay/wire/access", may: []string{"relay/wire", "crdt/id"}},
	{pkg: "relay/operate", may: []string{"relay/wire/...", "storage", "crdt/id"}},
	{pkg: "relay/interop"}, // tests alone
	{pkg: "relay", may: []string{"relay/wire/...", "relay/operate", "storage/...", "crdt/id", "crdt/chunk", "crdt/graph", "crdt/intake", "crdt/session"}},
	{pkg: "peer/telemetry", may: []string{"peer"}},
	{pkg: "peer/resolve", may: []string{"peer", "relay/wire/access", "crdt/..."}},
	{pkg: "peer/doctor", may: []string{"storage/...", "crdt/id", "crdt/chunk", "crdt/graph", "crdt/check", "crdt/session"}},
	{pkg: "peer/...", may: []string{"peer/doctor", "relay/wire/...", "storage/...", "crdt/..."}},
	{pkg: "bench/js"}, // so that every package's tests may use it
	{pkg: "bench/...", may: []string{"bench/...", "peer/...", "relay/...", "storage/...", "crdt/..."}},
	{pkg: "cmd/check", may: []string{"bench/js"}},
	{pkg: "cmd/...", may: []string{"bench/...", "peer/...", "relay/...", "storage/...", "crdt/..."}},
}

// impure are packages that one with I/O or a clock imports directly.
var impure = []string{"C", "database/sql", "io/fs", "net", "os", "os/exec", "syscall", "log", "runtime/cgo"}

// goPackage is what these tests use of go list -json.
type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...)
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func matches(pattern, pkg string) bool {
	folder, all := strings.CutSuffix(pattern, "/...")
	return pkg == folder || all && strings.HasPrefix(pkg, folder+"/")
}

func TestLayersImportOnlyDownwards(t *testing.T) {
	for _, p := range list(t, "./...") {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		rule := slices.IndexFunc(layers, func(l layer) bool { return matches(l.pkg, name) })
		if rule < 0 {
			t.Errorf("%s has no rule: say in layers what it may import", name)
			continue
		}
		for _, imported := range p.Imports {
			if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
				if !slices.ContainsFunc(layers[rule].may, func(m string) bool { return matches(m, ours) }) {
					t.Errorf("%s imports %s; it may import %v", name, ours, layers[rule].may)
				}
			}
			if layers[rule].pure && (slices.Contains(impure, imported) || strings.HasPrefix(imported, "net/")) {
				t.Errorf("%s imports %s, but it knows no I/O and no cgo", name, imported)
			}
			if imported == core && name != "crdt" {
				t.Errorf("%s imports %s; only the document, package crdt, and tests do", name, core)
			}
		}
	}
}

func TestLayersKeepTheRelayFreeOfTheCore(t *testing.T) {
	for _, p := range list(t, "./relay/...", "./storage/...") {
		for _, dep := range p.Deps {
			if dep == core || strings.HasPrefix(dep, core+"/") || dep == module+"/crdt" {
				t.Errorf("%s depends on %s", p.ImportPath, dep)
			}
		}
	}
}

// TestLayersHaveTheFixedTopLevel holds the names in the repository's root, as git
// sees them.
func TestLayersHaveTheFixedTopLevel(t *testing.T) {
	allowed := []string{"bench", "cmd", "crdt", "peer", "relay", "storage", "go.mod", "go.sum", "README.md", "LICENSE"}
	dir := root(t)
	if _, err := os.Stat(filepath.Join(dir, ".git")); err != nil {
		t.Skip("not a git checkout")
	}
	git := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard")
	git.Dir = dir
	out, err := git.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for _, file := range strings.Fields(string(out)) {
		top, _, _ := strings.Cut(path.Clean(file), "/")
		if !strings.HasPrefix(top, ".") && !slices.Contains(allowed, top) {
			t.Errorf("%s does not belong in the root; it holds %v and dotfiles", top, allowed)
			allowed = append(allowed, top) // once is enough
		}
	}
}
