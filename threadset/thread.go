package threadset

import "math"

// A Thread is what the set knows of one thread at one moment: a copy, which
// moves no further when the thread does.
type Thread struct {
	TID int
	// Start is the start time of the thread in clock ticks since boot, which
	// with the tid is its identity; 0 until somebody learns it. A seized
	// thread is known by its tid alone: the number can't come back before
	// its tracer has reaped it.
	Start      uint64
	Owner      int // thread id of the tracer that seizes it, waits for it and moves it
	Phase      Phase
	JobStopped bool // job control has it stopped, whatever its phase
	Born       bool // first heard of after the first pass over the process
}

// A record is a Thread as it is kept: 16 bytes and no pointers, so that the
// garbage collector never looks into a hundred thousand of them. In a slot
// that is free tid is 0, and start the next free slot.
type record struct {
	start uint64
	tid   uint32
	phase Phase
	flags flags
}

type flags uint8

const (
	jobStopped flags = 1 << iota
	born
)

func (r record) thread(owner int) Thread {
	return Thread{
		TID:        int(r.tid),
		Start:      r.start,
		Owner:      owner,
		Phase:      r.phase,
		JobStopped: r.flags&jobStopped != 0,
		Born:       r.flags&born != 0,
	}
}

// key is tid as indexes and records have it; 0 for what can't be a tid.
func key(tid int) uint32 {
	if tid <= 0 || tid > math.MaxInt32 {
		return 0
	}
	return uint32(tid)
}
