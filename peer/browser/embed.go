// Package browser serves the page of the TypeScript peer beside it: a workspace that
// a few people edit at once, in browsers and natively. The page's files are built
// from demo/ and src/ by Node and committed, compressed, under dist, so that Go alone
// serves them. They are the same for everybody and hold no data: documents are in
// the browsers, and come through the relay.
package browser

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed dist/*.gz
var dist embed.FS

// policy lets the page load what this server has, compile its WebAssembly, and talk
// to the relay at the same address; nothing else, and nobody frames it.
const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// types are the media types of the files, by extension. The system's own table may
// be another one on each machine.
var types = map[string]string{
	".html":        "text/html; charset=utf-8",
	".js":          "text/javascript; charset=utf-8",
	".css":         "text/css; charset=utf-8",
	".svg":         "image/svg+xml",
	".txt":         "text/plain; charset=utf-8",
	".wasm":        "application/wasm",
	".webmanifest": "application/manifest+json",
}

// file is a file of the page.
type file struct {
	mime string
	tag  string // an ETag
	path string // of what is compressed, in dist: reading it there keeps no copy
	size int64
}

// Handler serves the page at / and its files beside it to GET and HEAD.
func Handler() (http.Handler, error) {
	entries, err := dist.ReadDir("dist")
	if err != nil {
		return nil, fmt.Errorf("read the page's files: %w", err)
	}
	files := make(map[string]file, len(entries))
	for _, e := range entries {
		at := "dist/" + e.Name()
		sum, size, err := sumOf(at)
		if err != nil {
			return nil, fmt.Errorf("read the page's files: %w", err)
		}
		name := strings.TrimSuffix(e.Name(), ".gz")
		mime, ok := types[path.Ext(name)]
		if !ok {
			return nil, fmt.Errorf("the page's file %s is of no known type", name)
		}
		files["/"+name] = file{mime: mime, tag: `"` + hex.EncodeToString(sum[:8]) + `"`, path: at, size: size}
	}
	files["/"] = files["/index.html"]
	return handler(files), nil
}

// sumOf is the SHA-256 and the length of an embedded file.
func sumOf(path string) (sum []byte, size int64, err error) {
	f, err := dist.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return nil, 0, err
	}
	return h.Sum(nil), size, nil
}

// handler is the files by their paths.
type handler map[string]file

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := h[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this page knows only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	// Kept, and asked for each time: a new program's page is seen at once.
	header.Set("Cache-Control", "no-cache")
	header.Set("Vary", "Accept-Encoding")
	header.Set("Content-Type", f.mime)
	zipped := acceptsGzip(r)
	tag := f.tag
	if !zipped {
		tag = strings.TrimSuffix(tag, `"`) + `-plain"`
	}
	header.Set("ETag", tag)
	compressed, err := dist.Open(f.path)
	if err != nil {
		http.Error(w, "a file of this page is missing", http.StatusInternalServerError)
		return
	}
	defer compressed.Close()
	if zipped {
		header.Set("Content-Encoding", "gzip")
		serve(w, r, compressed, f.size, tag)
		return
	}
	body, err := inflate(compressed)
	if err != nil {
		http.Error(w, "a file of this page is damaged", http.StatusInternalServerError)
		return
	}
	serve(w, r, bytes.NewReader(body), int64(len(body)), tag)
}

// serve writes a body whole: http.ServeContent would cut ranges out of what is
// compressed.
func serve(w http.ResponseWriter, r *http.Request, body io.Reader, size int64, tag string) {
	for _, have := range strings.Split(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(have), "W/") == tag {
			w.Header().Del("Content-Encoding")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	if r.Method == http.MethodHead {
		return
	}
	io.Copy(w, body)
}

// acceptsGzip reads the little of Accept-Encoding that browsers and tools send.
func acceptsGzip(r *http.Request) bool {
	for _, coding := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.TrimSpace(name) != "gzip" {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
		return weight == "" || err == nil && q > 0
	}
	return false
}

func inflate(compressed io.Reader) ([]byte, error) {
	z, err := gzip.NewReader(compressed)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
