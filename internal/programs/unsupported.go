//go:build !linux

package programs

// Main does nothing: there are no programs here.
func Main() {}
