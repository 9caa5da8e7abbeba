package bpf

import "time"

// Birth is a thread that was born.
type Birth struct {
	TID int
	At  time.Time // on the monotonic clock
}

// Heard is what a look at the log of births found.
type Heard struct {
	// Ripe are threads that have reached the age that was asked for, and have
	// not been seen to end, in the order of their births.
	Ripe []Birth
	// Next is when the next one will be ripe, the zero time when nobody is
	// left in the log.
	Next time.Time
	// Short is how many have ended before they were ripe.
	Short int
	// Lost is how many births were overwritten before anybody looked. When
	// several processes are followed some may have been another's: nobody knows.
	Lost int
	// Execs is how often the process has run a new program.
	Execs int
}
