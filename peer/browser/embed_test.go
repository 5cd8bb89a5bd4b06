package browser

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, method, path string, header map[string]string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pageHandler(t *testing.T) http.Handler {
	t.Helper()
	h, err := Handler()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Each file that the page names is there, and it names no other host's.
func TestThePageHasAllItsFiles(t *testing.T) {
	h := pageHandler(t)
	page := string(body(t, get(t, h, "GET", "/", nil)))
	names := regexp.MustCompile(`(?:href|src)="([^"#]+)"`).FindAllStringSubmatch(page, -1)
	if len(names) < 4 {
		t.Fatalf("the page names %d files", len(names))
	}
	paths := []string{"/worker.js", "/core.js", "/automerge.wasm", "/sqlite3.wasm", "/service-worker.js", "/licenses.txt"}
	for _, n := range names {
		paths = append(paths, n[1])
	}
	for _, p := range paths {
		if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") {
			t.Errorf("the page loads %s", p)
			continue
		}
		if r := get(t, h, "GET", p, nil); r.StatusCode != http.StatusOK || r.ContentLength == 0 {
			t.Errorf("%s: %s", p, r.Status)
		}
	}
	if strings.Contains(page, "style=") || regexp.MustCompile(`<script>|\son\w+=`).MatchString(page) {
		t.Error("the page has a style or a script in it, which its policy forbids")
	}
}

func TestFilesAreTheSameCompressedAndNot(t *testing.T) {
	h := pageHandler(t)
	for path, mime := range map[string]string{"/": "text/html; charset=utf-8", "/app.js": "text/javascript; charset=utf-8", "/sqlite3.wasm": "application/wasm"} {
		plain := get(t, h, "GET", path, map[string]string{"Accept-Encoding": "gzip;q=0, identity"})
		zipped := get(t, h, "GET", path, map[string]string{"Accept-Encoding": "br, gzip"})
		if got := zipped.Header.Get("Content-Encoding"); got != "gzip" {
			t.Errorf("%s: coding %q", path, got)
		}
		z, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatal(err)
		}
		inflated, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(inflated, body(t, plain)) {
			t.Errorf("%s: it is another file when it is compressed", path)
		}
		for _, r := range []*http.Response{plain, zipped} {
			if got := r.Header.Get("Content-Type"); got != mime {
				t.Errorf("%s: type %q, want %q", path, got, mime)
			}
			if !strings.Contains(r.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self' 'wasm-unsafe-eval';") {
				t.Errorf("%s: no strict policy", path)
			}
		}
		if plain.Header.Get("ETag") == zipped.Header.Get("ETag") {
			t.Errorf("%s: one tag for two bodies", path)
		}
	}
}

func TestWhatABrowserHasIsNotSentAgain(t *testing.T) {
	h := pageHandler(t)
	gzipped := map[string]string{"Accept-Encoding": "gzip"}
	tag := get(t, h, "GET", "/app.js", gzipped).Header.Get("ETag")
	gzipped["If-None-Match"] = `"other", W/` + tag
	if r := get(t, h, "GET", "/app.js", gzipped); r.StatusCode != http.StatusNotModified || len(body(t, r)) != 0 {
		t.Errorf("%s", r.Status)
	}
}

func TestOtherPathsAndMethods(t *testing.T) {
	h := pageHandler(t)
	tests := []struct {
		method, path string
		status       int
	}{
		{"GET", "/nothing", http.StatusNotFound},
		{"GET", "/../embed.go", http.StatusNotFound},
		{"GET", "/index.html.gz", http.StatusNotFound},
		{"POST", "/", http.StatusMethodNotAllowed},
		{"HEAD", "/app.js", http.StatusOK},
	}
	for _, tt := range tests {
		r := get(t, h, tt.method, tt.path, nil)
		if r.StatusCode != tt.status {
			t.Errorf("%s %s: %s, want %d", tt.method, tt.path, r.Status, tt.status)
		}
		if tt.method == "HEAD" && len(body(t, r)) != 0 {
			t.Errorf("HEAD has a body")
		}
	}
}
