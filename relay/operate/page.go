package operate

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"reflect"
	"strings"
)

// The page's parts. Style and script are written into it, and allowed by their
// hashes: the page loads nothing.
var (
	//go:embed status.html
	statusHTML string
	//go:embed status.css
	statusCSS string
	//go:embed status.js
	statusJS string
)

// shownRows is how many connections and rooms the page has: what somebody reads.
const shownRows = 100

// statusPage makes the page of a Status.
type statusPage struct {
	template *template.Template
	policy   string
}

func newStatusPage() *statusPage {
	t := template.New("status").Funcs(template.FuncMap{
		// Whole elements, so that their content stays byte for byte what was hashed.
		"style":  func() template.HTML { return template.HTML("<style>" + statusCSS + "</style>") },
		"script": func() template.HTML { return template.HTML("<script>" + statusJS + "</script>") },

		"bytes": showBytes, "count": func(n any) string { return showCount(reflect.ValueOf(n).Int()) }, "rate": showRate, "percent": showPercent, "bars": showBars,
		"since": showSince, "clock": showClock, "safe": showText, "limits": showLimits, "words": showWords,
		"flowOf": func(name string, f Flow, bytes bool) namedFlow { return namedFlow{f, name, bytes} },
		"used":   func(d Disk) int64 { return d.Size - d.Free },
	})
	return &statusPage{
		template: template.Must(t.Parse(statusHTML)),
		policy: "default-src 'none'; style-src " + hashOf(statusCSS) + "; script-src " + hashOf(statusJS) +
			"; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
	}
}

// hashOf is how a policy names an inline element of this content.
func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// showStatus answers with the status, for people or for programs.
func (p *pages) showStatus(w http.ResponseWriter, r *http.Request) {
	s := p.source.Status(shownRows)
	s.Ready, s.Reason = true, ""
	if err := p.source.Ready(); err != nil {
		s.Ready, s.Reason = false, err.Error()
	}
	w.Header().Set("Vary", "Accept")
	if wantsJSON(r) {
		writeJSON(w, http.StatusOK, s)
		return
	}
	var b bytes.Buffer
	if err := p.status.template.Execute(&b, s); err != nil {
		p.o.Log.Error("status page not made", "err", err)
		refuse(w, r, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Security-Policy", p.status.policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
}

// wantsJSON reports whether a request is of a program. A browser's Accept has
// text/html, and not JSON by name.
func wantsJSON(r *http.Request) bool {
	if r.URL.Query().Has("json") {
		return true
	}
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}
