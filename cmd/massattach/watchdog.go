package main

import "massattach/internal/watchdog"

// dogPatience is the watchdog's. Most tests let it have more: their machine may be busy with
// others.
var dogPatience = watchdog.Patience

// startWatchdog starts the watchdog. Without one the command works as well.
func (t *tool) startWatchdog() *watchdog.Guard {
	const hint = "don't stop this program: each thread that gets a signal would stand still with it"
	g, err := watchdog.Start(t.program, t.cpus, dogPatience, func(err error) {
		t.notes.problem("the watchdog has ended: "+err.Error(), hint)
	})
	if err != nil {
		t.notes.problem("the watchdog could not be started: "+err.Error(), hint)
		return &watchdog.Guard{}
	}
	return g
}
