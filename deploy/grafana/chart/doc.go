// Package chart draws the panels of the dashboard as SVG, from what a Prometheus
// answers to their queries: for documents, and for those who have no Grafana at hand.
package chart
