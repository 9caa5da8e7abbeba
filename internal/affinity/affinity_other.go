//go:build !linux || (!amd64 && !arm64)

// Package affinity is about the CPUs that the threads of this process may run on. It
// is not supported here.
package affinity

func Get() string              { return "" }
func Set(string)               {}
func OneCPU() (release func()) { return func() {} }
