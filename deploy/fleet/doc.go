// Package fleet has no code but tests: several instances of massattach serve, each in a
// network namespace of its own, watch real processes, and a real Prometheus scrapes them
// with the configuration, rules and dashboard that are beside this folder.
//
// It takes root. The namespaces are the tests' own, and end with them.
package fleet
