package bench

import (
	"time"

	"massattach/attacher"
)

// Options say what is measured. The zero value is everything there is, in some 20
// minutes on two CPUs.
type Options struct {
	// Quick measures the main cases at two sizes, a few times each: a minute.
	Quick bool
	// Cases are the names of those to be measured, of CaseNames; nil: all.
	Cases []string
	// Sizes are the numbers of threads; nil: those of each case.
	Sizes []int
	// Peers are the names of the tools to be compared with, of PeerNames; nil: all,
	// empty: none.
	Peers []string
	// Profile takes a CPU profile of what is over 1.2 times the bare loop.
	Profile bool
	// Command is this program, as which whole processes are run: its path, and what
	// comes before the verb. Version is what it calls itself.
	Command []string
	Version string
	// Kernel is that of the sessions within this process, nil for the real one.
	Kernel attacher.Kernel
	// Progress hears of each case and size before it begins. It may be nil.
	Progress func(Step)
	// Say is told what may be of interest meanwhile, a line at a time. It may be nil.
	Say func(string)

	// pace is the plan of a test.
	pace *plan
}

// Step is where a run is.
type Step struct {
	Case    string
	Threads int
	Done    int // cases and sizes that are over
	Total   int
}

// A plan is how often things are done, and for how long at the most.
type plan struct {
	rounds    int           // at the most
	least     int           // rounds, unless one takes too long
	slice     time.Duration // that a case may take at a size when it has had the least
	window    time.Duration // of what is counted a second
	limit     time.Duration // of one run of a peer
	noise     int           // rounds of the empty case
	budget    time.Duration // of the whole, but for what is under way; 0: none
	idle      time.Duration // that an idle session is watched for
	once      time.Duration // a peer that takes longer runs once
	noiseSize int
}

// neverAbove is how long a peer may take at one size to be run at a larger one.
const neverAbove = 20 * time.Second

func (o *Options) plan() plan {
	switch {
	case o.pace != nil:
		return *o.pace
	case o.Quick:
		return plan{rounds: 5, least: 3, slice: 600 * time.Millisecond, window: 100 * time.Millisecond,
			limit: 10 * time.Second, noise: 8, budget: 45 * time.Second, idle: time.Second,
			once: 500 * time.Millisecond, noiseSize: 2_000}
	}
	return plan{rounds: 15, least: 3, slice: 3 * time.Second, window: 200 * time.Millisecond,
		limit: 30 * time.Second, noise: 20, idle: 2 * time.Second,
		once: 5 * time.Second, noiseSize: 10_000}
}
