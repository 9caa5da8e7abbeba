package threadset

import "fmt"

// moves is every possible move: the one source of [Next] and of [Diagram].
var moves = [...]struct {
	event Event
	from  []Phase
	to    Phase
}{
	{Seized, []Phase{Found}, Running},
	{Missing, []Phase{Found}, Vanished},
	{LeaderZombie, []Phase{Found}, Zombie},
	{Refused, []Phase{Found}, Failed},

	{Interrupted, []Phase{Running, Stopping, Listening, Parked}, Stopping},
	{Stopped, []Phase{Running, Stopping, Held, Listening, Parked}, Held},

	// A listening or held thread that passes a stop: only SIGCONT (or a
	// kill, and with it the exit stop) makes it report, and the CONT that
	// follows lets it run.
	{Passed, []Phase{Running, Held, Listening}, Running},
	{Passed, []Phase{Stopping}, Stopping},
	{Passed, []Phase{Parked}, Parked},

	{Resumed, []Phase{Stopping, Held}, Running},
	{Listened, []Phase{Running, Stopping, Held, Listening, Parked}, Listening},
	{Continued, []Phase{Listening}, Running},

	// Not from Listening: such a thread is in a ptrace-stop, which is more
	// than being parked, and Unparked would forget that it listens.
	{InKernel, []Phase{Running, Stopping, Parked}, Parked},
	{Unparked, []Phase{Parked}, Running},

	// Not from Listening: who listens executes nothing. From Held because
	// who holds threads at exec may reap and hold first, then rename.
	{Execed, []Phase{Running}, Running},
	{Execed, []Phase{Stopping}, Stopping},
	{Execed, []Phase{Held}, Held},
	{Execed, []Phase{Parked}, Parked},

	{Ended, []Phase{Running, Stopping, Held, Listening, Parked}, Exited},
	{LetGo, []Phase{Running, Stopping, Held, Listening, Parked}, Vanished},
}

// next has Next's answer plus one; 0 is an impossible move.
var next = func() (t [endOfEvents][NumPhases]Phase) {
	for _, m := range moves {
		for _, p := range m.from {
			t[m.event][p] = m.to + 1
		}
	}
	return t
}()

// Next is the phase that e leads to from p. It is false when that move is
// impossible, and the phase then p, unchanged. Next is total: it answers for
// values that are no Phase or no Event, too (false).
func Next(p Phase, e Event) (Phase, bool) {
	if p >= NumPhases || e >= endOfEvents || next[e][p] == 0 {
		return p, false
	}
	return next[e][p] - 1, true
}

// A MoveError is a move that was refused, and left everything as it was.
// Either the owner and the kernel disagree about a thread, which is a bug in
// the owner, or the thread has ended meanwhile.
type MoveError struct {
	TID     int
	Event   Event
	Phase   Phase // of the thread, unless Unknown
	Unknown bool  // the tid has no record there, or has it no longer
}

func (e *MoveError) Error() string {
	if e.Unknown {
		return fmt.Sprintf("thread %d: %v: no such thread in the set", e.TID, e.Event)
	}
	return fmt.Sprintf("thread %d: %v: impossible while %v", e.TID, e.Event, e.Phase)
}
