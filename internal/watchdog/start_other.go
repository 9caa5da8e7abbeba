//go:build !linux

package watchdog

import "time"

// Start starts nothing: nobody is attached to here.
func Start(program, cpus string, patience time.Duration, lost func(error)) (*Guard, error) {
	return &Guard{}, nil
}
