package deploy

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"syncline/relay/operate"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// metric is what a relay has under a name.
type metric struct {
	labels map[string]map[string]bool // with their values
}

// metrics are all names of series that a relay has.
func metrics(t *testing.T) map[string]metric {
	t.Helper()
	families, err := operate.NewMetrics(operate.MetricsOptions{}).Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]metric)
	for _, f := range families {
		m := metric{map[string]map[string]bool{}}
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				if m.labels[l.GetName()] == nil {
					m.labels[l.GetName()] = map[string]bool{}
				}
				m.labels[l.GetName()][l.GetValue()] = true
			}
		}
		if f.GetType().String() != "HISTOGRAM" {
			all[f.GetName()] = m
			continue
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			all[f.GetName()+suffix] = m
		}
	}
	return all
}

var (
	series  = regexp.MustCompile(`\b((?:syncline|go|process)_[a-z0-9_]+)\s*(?:\{([^}]*)\})?`)
	matcher = regexp.MustCompile(`^([a-z_]+)(=~|=)"([^"]*)"$`)
	by      = regexp.MustCompile(`by \(([^)]*)\)`)
)

// attached are labels that Prometheus adds, and that of a histogram's buckets.
var attached = []string{"job", "instance", "le"}

// reporter is the part of testing.T that check needs.
type reporter interface {
	Errorf(format string, args ...any)
}

// check holds an expression to the metrics, and returns the names in it.
func check(t reporter, where, expr string, all map[string]metric) (names []string) {
	known := slices.Clone(attached)
	for _, m := range series.FindAllStringSubmatch(expr, -1) {
		name := m[1]
		have, ok := all[name]
		if !ok {
			t.Errorf("%s: a relay has no %s", where, name)
			continue
		}
		names = append(names, name)
		for _, selector := range strings.Split(m[2], ",") {
			selector = strings.TrimSpace(selector)
			if selector == "" {
				continue
			}
			s := matcher.FindStringSubmatch(selector)
			if s == nil {
				t.Errorf("%s: %s is not understood", where, selector)
				continue
			}
			if slices.Contains(attached, s[1]) {
				continue
			}
			for _, value := range strings.Split(s[3], "|") {
				if !have.labels[s[1]][value] {
					t.Errorf("%s: %s has no %s=%q", where, name, s[1], value)
				}
			}
		}
		known = append(known, slices.Collect(maps.Keys(have.labels))...)
	}
	for _, m := range by.FindAllStringSubmatch(expr, -1) {
		for _, label := range strings.Split(m[1], ",") {
			if !slices.Contains(known, strings.TrimSpace(label)) {
				t.Errorf("%s: no metric has the label %s", where, label)
			}
		}
	}
	if strings.Count(expr, "(") != strings.Count(expr, ")") || strings.Count(expr, "{") != strings.Count(expr, "}") || strings.Count(expr, `"`)%2 != 0 {
		t.Errorf("%s: brackets or quotes do not match: %s", where, expr)
	}
	return names
}

// dashboard is what these tests read of one.
type dashboard struct {
	UID    string
	Panels []struct {
		ID          int
		Type, Title string
		Description string
		GridPos     struct{ X, Y, W, H int }
		Targets     []struct{ RefID, Expr string }
	}
	Templating struct {
		List []struct {
			Name, Type string
			Query      json.RawMessage
		}
	}
}

func TestTheDashboardShowsTheMetrics(t *testing.T) {
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "grafana.json")), &d); err != nil {
		t.Fatal(err)
	}
	all := metrics(t)
	shown := make(map[string]bool)
	ids := make(map[int]bool)
	taken := make(map[[2]int]string) // cells of the grid
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: the id %d is twice there", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				cell := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if cell[0] >= 24 || taken[cell] != "" {
					t.Fatalf("%s lies over %s, or beside the grid", p.Title, taken[cell])
				}
				taken[cell] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Title == "" || p.Description == "" {
			t.Errorf("panel %d has nothing to show, or does not say what", p.ID)
		}
		for _, target := range p.Targets {
			names := check(t, p.Title, target.Expr, all)
			if len(names) == 0 {
				t.Errorf("%s shows no metric: %s", p.Title, target.Expr)
			}
			for _, name := range names {
				shown[name] = true
			}
		}
	}
	for _, v := range d.Templating.List {
		var query struct{ Query string }
		if v.Type != "query" {
			continue
		}
		if err := json.Unmarshal(v.Query, &query); err != nil || len(check(t, v.Name, query.Query, all)) == 0 {
			t.Errorf("variable %s: %v: %s", v.Name, err, v.Query)
		}
	}
	// A metric that nobody looks at is none.
	for name := range all {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "syncline_") && !shown[base] && !shown[base+"_bucket"] && !shown[base+"_sum"] && !shown[base+"_count"] {
			t.Errorf("%s is not on the dashboard", name)
		}
	}
}

func TestAlertsAreOnMetricsAndSayWhatToDo(t *testing.T) {
	text := read(t, "alerts.yml")
	tree, err := parseYAML(text)
	if err != nil {
		t.Fatal(err)
	}
	all := metrics(t)
	seen := make(map[string]bool)
	for _, g := range tree.(map[string]any)["groups"].([]any) {
		for _, r := range g.(map[string]any)["rules"].([]any) {
			rule := r.(map[string]any)
			name, _ := rule["alert"].(string)
			if name == "" || seen[name] {
				t.Errorf("%q has no name, or that of another", name)
			}
			seen[name] = true
			expr, _ := rule["expr"].(string)
			if names := check(t, name, expr, all); len(names) == 0 && !strings.HasPrefix(expr, "up{") {
				t.Errorf("%s is on no metric: %s", name, expr)
			}
			labels, _ := rule["labels"].(map[string]any)
			if s := labels["severity"]; s != "page" && s != "warn" {
				t.Errorf("%s: severity %v", name, s)
			}
			annotations, _ := rule["annotations"].(map[string]any)
			for _, key := range []string{"summary", "description"} {
				if s, _ := annotations[key].(string); !strings.HasSuffix(s, ".") {
					t.Errorf("%s: %s %q is no sentence", name, key, s)
				}
			}
			for key := range rule {
				if !slices.Contains([]string{"alert", "expr", "for", "labels", "annotations"}, key) {
					t.Errorf("%s: %s is not known to Prometheus", name, key)
				}
			}
		}
	}
	if n := strings.Count(text, "- alert:"); n != len(seen) || n == 0 {
		t.Errorf("%d alerts are read, of %d", len(seen), n)
	}
}

func TestThePrometheusConfigurationIsReadable(t *testing.T) {
	tree, err := parseYAML(read(t, "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	config := tree.(map[string]any)
	job := config["scrape_configs"].([]any)[0].(map[string]any)
	// The alerts go by this name, and this file.
	if job["job_name"] != "syncline" || config["rule_files"].([]any)[0] != "alerts.yml" {
		t.Errorf("%v", config)
	}
}

// A test that cannot fail would pass any file.
func TestExpressionsThatAreWrongAreFound(t *testing.T) {
	all := metrics(t)
	for _, expr := range []string{
		`rate(syncline_relay_nonsense_total[5m])`,
		`syncline_commit_duration_seconds`, // a histogram has no such series
		`syncline_relay_rooms{state="dead"}`,
		`syncline_relay_rooms{color="red"}`,
		`sum by (color) (syncline_relay_rooms)`,
		`sum(syncline_relay_rooms`,
	} {
		var found complaints
		if check(&found, "", expr, all); found == 0 {
			t.Errorf("%s passes", expr)
		}
	}
}

// complaints counts what check has to say.
type complaints int

func (c *complaints) Errorf(string, ...any) { *c++ }
