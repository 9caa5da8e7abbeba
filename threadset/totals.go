package threadset

import "sync/atomic"

// Counts has a number of threads for each phase. For a phase that is alive
// it is how many are in it now. For an end it is how many have ever come to
// it: an end is final, so that is the same thing, though the record may be
// forgotten. All of them together are the threads ever found.
type Counts [NumPhases]int

// Live is how many threads are seized and have not ended.
func (c Counts) Live() int {
	return c[Running] + c[Stopping] + c[Held] + c[Listening] + c[Parked]
}

// Sum is how many threads were ever found.
func (c Counts) Sum() (n int) {
	for _, m := range c {
		n += m
	}
	return n
}

// Totals is the account of a whole session, as its report gives it. It only
// grows, whatever becomes of records and tids, save that a stranger who is
// let go turns from attached to vanished.
//
//	Found = Attached + Vanished + Zombie + Failed
type Totals struct {
	Found    int
	Attached int // seized at some time, and no stranger
	Vanished int // gone before the SEIZE, or a stranger that was let go
	Zombie   int // a leader that was a zombie before anybody seized it
	Failed   int // refused by the kernel

	Born   int // of Found: first heard of after the first pass
	Exited int // of Attached: ended since

	// Not in Found: those whose SEIZE is still to be answered, and those
	// born so lately and so briefly that it came too late.
	Pending  int
	Fleeting int
}

// count enters the fate of a thread. Only moves that decide one matter.
func (t *Totals) count(e Event, r record) {
	one := 0
	if r.flags&born != 0 {
		one = 1
	}
	switch e {
	case Seized:
		t.Attached++
		t.Born += one
	case Missing:
		t.Vanished += 1 - one
		t.Fleeting += one
	case LeaderZombie:
		t.Zombie++
		t.Born += one
	case Refused:
		t.Failed++
		t.Born += one
	case Ended:
		t.Exited++
	case LetGo:
		t.Attached--
		t.Vanished++
	}
}

func (t *Totals) add(u Totals) {
	t.Attached += u.Attached
	t.Vanished += u.Vanished
	t.Zombie += u.Zombie
	t.Failed += u.Failed
	t.Born += u.Born
	t.Exited += u.Exited
	t.Fleeting += u.Fleeting
}

// A gauge is Counts that all shards add to and anybody reads without a lock.
type gauge [NumPhases]atomic.Int64

// publish adds what changed, one addition a phase for a whole batch.
func (g *gauge) publish(delta *Counts) {
	for p, d := range delta {
		if d != 0 {
			g[p].Add(int64(d))
		}
	}
}

func (g *gauge) load() (c Counts) {
	for p := range g {
		c[p] = int(g[p].Load())
	}
	return c
}
