// Package deploy has files to run a relay with: an image, a systemd unit, the
// scrape configuration and the alert rules of Prometheus, and a Grafana dashboard.
// README.md says how they are used. The tests hold them to the metrics of package
// operate.
package deploy
