// Package kubernetes has no code but tests: whether the manifests beside it are what the
// API server, and the Prometheus operator, take.
package kubernetes
