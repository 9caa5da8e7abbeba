//go:build !linux || (!amd64 && !arm64)

package main

func affinity() string           { return "" }
func runOn(string)               {}
func onOneCPU() (release func()) { return func() {} }
