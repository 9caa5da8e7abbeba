package threadset

import "iter"

// phases is which phases an iteration is about, a bit for each.
type phases uint16

const everyPhase phases = 1<<NumPhases - 1

func only(p Phase) phases { return 1 << p & everyPhase }

// chunk is how many records an iteration copies under the lock at a time: 4
// KiB of stack, and a few hundred ns for an owner to wait.
const chunk = 256

// each yields the threads in the phases want until yield says no, and
// reports whether it never did. The lock is not held while yield runs.
func (sh *Shard) each(want phases, yield func(Thread) bool) bool {
	var buf [chunk]record
	for from := 0; from >= 0; {
		var n int
		sh.mu.Lock()
		n, from = sh.slab.copy(buf[:], from)
		sh.mu.Unlock()
		for _, r := range buf[:n] {
			if want&only(r.phase) != 0 && !yield(r.thread(sh.owner)) {
				return false
			}
		}
	}
	return true
}

func (s *Set) each(want phases, yield func(Thread) bool) {
	for _, sh := range s.all() {
		if !sh.each(want, yield) {
			return
		}
	}
}

// All yields the threads that the set knows, in no particular order.
//
// The set may change meanwhile, by the body of the loop, too: no lock is held
// while that runs. A thread that is known throughout is yielded once, as it
// was at some moment since the loop began; one that comes, ends or is renamed
// meanwhile may be yielded or not, and one that is renamed also twice. For
// one moment's view of each shard see [Set.Snapshot].
func (s *Set) All() iter.Seq[Thread] {
	return func(yield func(Thread) bool) { s.each(everyPhase, yield) }
}

// In yields the threads that are in phase p, as [Set.All] does. In an end
// they are few: see [Shard.Apply] on what is forgotten.
func (s *Set) In(p Phase) iter.Seq[Thread] {
	return func(yield func(Thread) bool) { s.each(only(p), yield) }
}

// Snapshot appends the threads that the set knows to dst and returns it. The
// threads of one tracer are as they all were at one moment; those of two
// tracers are not.
func (s *Set) Snapshot(dst []Thread) []Thread {
	for _, sh := range s.all() {
		sh.mu.Lock()
		for _, r := range sh.slab.slots {
			if r.tid != 0 {
				dst = append(dst, r.thread(sh.owner))
			}
		}
		sh.mu.Unlock()
	}
	return dst
}
