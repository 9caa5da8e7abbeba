// What would stop the command: SIGTSTP (Ctrl-Z), and SIGTTIN and SIGTTOU, which
// a terminal sends to those who use it from the background. While it traces it
// takes none of them: each thread of a target that gets a signal would stop as
// well, and stay so until the command goes on.

package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"massattach/internal/sys"
)

// refuseStops has the command go on where those signals would stop it, and say
// so. One that it was started to ignore stays ignored.
func (t *tool) refuseStops() {
	caught := make(chan os.Signal, 3)
	on := heeded(syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
	t.catchStops = func() {
		if len(on) > 0 { // none would mean all
			signal.Notify(caught, on...)
		}
	}
	t.catchStops()
	go func() {
		said := make(map[os.Signal]bool)
		for s := range caught {
			hint := ""
			if s == syscall.SIGTSTP {
				t.notes.clearLine()
				hint = "Ctrl-C detaches"
			} else {
				// A handler is not enough: a write that a terminal refuses to the
				// background (stty tostop) begins anew when the handler has run,
				// and is refused again, for ever. One that ignores SIGTTOU is let
				// through (drivers/tty/tty_jobctrl.c, __tty_check_change). A
				// program that we start inherits this: see catchStops.
				signal.Ignore(s)
			}
			if !said[s] {
				said[s] = true
				t.notes.problem(unix.SignalName(s.(syscall.Signal))+
					" does not stop it: each thread that gets a signal would stand still with it", hint)
			}
		}
	}()
}

// heeded is those of the signals that we were not started to ignore, as by nohup
// or in the background of a script.
func heeded(signals ...syscall.Signal) []os.Signal {
	var on []os.Signal
	for _, s := range signals {
		if !sys.Ignored(s) {
			on = append(on, s)
		}
	}
	return on
}
