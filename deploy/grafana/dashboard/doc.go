// Package dashboard is the one list of what the Grafana dashboard shows: its rows,
// panels and queries. [Grafana] makes the file of it that Grafana loads; package chart
// draws the same panels as SVG; the tests run each query on a real Prometheus.
package dashboard
