package operate

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// collector hands the metrics to the library when it reads them.
type collector struct {
	sample     func()
	families   []family
	descs      []*prometheus.Desc // of families, in their order
	histograms []prometheus.Histogram
}

func newCollector(m *Metrics, o MetricsOptions) *collector {
	c := &collector{sample: func() {}, families: m.families(o), histograms: m.histograms()}
	if o.Sample != nil {
		c.sample = func() { o.Sample(m) }
	}
	for _, f := range c.families {
		constant := shared
		if strings.HasPrefix(f.name, relayPrefix) {
			constant = nil
		}
		c.descs = append(c.descs, prometheus.NewDesc(f.name, f.help, f.labels, constant))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
	for _, h := range c.histograms {
		h.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.sample()
	for i, f := range c.families {
		for _, s := range f.series {
			ch <- prometheus.MustNewConstMetric(c.descs[i], f.kind, s.read(), s.values...)
		}
	}
	for _, h := range c.histograms {
		h.Collect(ch)
	}
}
