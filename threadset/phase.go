package threadset

import "strconv"

// A Phase says where a thread stands in its life under a tracer. The zero
// Phase is Found. What leads from one to the next is [Next].
//
// Job control is not a phase: a thread of a process that SIGSTOP stopped may
// be listening, held or, for a moment, running; [Thread] has a bit for it.
type Phase uint8

const (
	// Found: listed, given to a tracer, not seized yet.
	Found Phase = iota
	// Running: seized, and nobody wants it stopped. It computes, sleeps in
	// the kernel, or passes through a stop that its owner lets go at once.
	Running
	// Stopping: asked to stop, by an INTERRUPT or (notify style) by being
	// armed. The stop is still to come; for a thread in D state or in vfork
	// it may take for ever.
	Stopping
	// Held: in a ptrace-stop that was reaped and is kept.
	Held
	// Listening: in a group-stop, left there by PTRACE_LISTEN.
	Listening
	// Parked: armed in notify style and confirmed to be in the kernel. It
	// cannot run another user instruction without reporting a stop first.
	Parked

	// Exited: was seized, and has been reaped by its tracer.
	Exited
	// Vanished: was gone before its SEIZE, or turned out to be a stranger
	// that had taken the tid, and was let go.
	Vanished
	// Zombie: the leader, exited before anybody seized it while other
	// threads of the process live on. It can't be seized, and is no failure.
	Zombie
	// Failed: the kernel refused the SEIZE.
	Failed

	// NumPhases is how many phases there are; each is below it.
	NumPhases = iota
)

var phaseNames = [NumPhases]string{
	Found:     "found",
	Running:   "running",
	Stopping:  "stopping",
	Held:      "held",
	Listening: "listening",
	Parked:    "parked",
	Exited:    "exited",
	Vanished:  "vanished",
	Zombie:    "zombie",
	Failed:    "failed",
}

// String is the phase in one lower-case word.
func (p Phase) String() string {
	if p < NumPhases {
		return phaseNames[p]
	}
	return "phase(" + strconv.Itoa(int(p)) + ")"
}

// Ended reports whether p is an end: no event leads out of it.
func (p Phase) Ended() bool { return p >= Exited && p < NumPhases }

// Alive reports whether p is a phase but no end; Found is alive.
func (p Phase) Alive() bool { return p < Exited }

// Seized reports whether a thread in p is somebody's tracee now: it is alive
// and no longer just found.
func (p Phase) Seized() bool { return p > Found && p < Exited }

// forgotten reports whether the record of a thread goes when it comes to p.
// A zombie leader and a thread that refused are listed on and on, and stay
// known lest each scan tries them again; the others leave nothing to know,
// and their tids come back as other threads.
func (p Phase) forgotten() bool { return p == Exited || p == Vanished }
