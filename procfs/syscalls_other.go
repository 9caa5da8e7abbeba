//go:build !linux || !(amd64 || arm64)

package procfs

// No names: all calls print as numbers.
var syscallNames []string
