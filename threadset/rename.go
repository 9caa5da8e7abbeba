package threadset

import "slices"

// Rename tells the set of an exec by a thread that is not the leader: the
// thread oldTID takes the leader's tid, newTID, and the leader is gone
// without an exit of its own. The record moves into the shard to, which is
// its tracer's (nil: it stays where it is), and keeps its phase and its
// bits; it takes the leader's start time, as it does in the kernel
// (fs/exec.c, de_thread), which is unknown if the leader's was. The leader's
// record, whose owner may be another, ends: exited if it was seized,
// vanished if it was only found, forgotten if it had ended before.
//
// For [Set.Fresh] and [Set.Get] all of that is one step: no scan seizes the
// leader's tid in between. The other threads of the process end by
// themselves: each is reaped by its tracer.
//
// If oldTID is not a thread that can exec, or newTID no tid, the error is a
// [*MoveError] and nothing has changed. An exec by the leader itself, with
// both tids the same, changes nothing, either.
func (s *Set) Rename(oldTID, newTID int, to *Shard) error {
	if key(newTID) == 0 {
		return &MoveError{TID: newTID, Event: Execed, Unknown: true}
	}
	for {
		from, leader := s.shardOf(key(oldTID)), s.shardOf(key(newTID))
		if from == nil {
			return &MoveError{TID: oldTID, Event: Execed, Unknown: true}
		}
		dst := to
		if dst == nil {
			dst = from
		}
		unlock := lockShards(from, leader, dst)
		// They are right only if they still are now that they are locked.
		if s.shardOf(key(oldTID)) != from || s.shardOf(key(newTID)) != leader {
			unlock()
			continue
		}
		err := s.rename(key(oldTID), key(newTID), from, leader, dst)
		unlock()
		return err
	}
}

// lockShards locks each of them once, in the order of their numbers, which
// is what keeps two renames from locking each other out. nil is skipped.
func lockShards(shards ...*Shard) (unlock func()) {
	shards = slices.DeleteFunc(shards, func(sh *Shard) bool { return sh == nil })
	slices.SortFunc(shards, func(a, b *Shard) int { return int(a.number) - int(b.number) })
	shards = slices.Compact(shards)
	for _, sh := range shards {
		sh.mu.Lock()
	}
	return func() {
		for _, sh := range shards {
			sh.mu.Unlock()
		}
	}
}

// rename is Rename with all shards locked.
func (s *Set) rename(oldTID, newTID uint32, from, leader, to *Shard) error {
	slot, _ := from.where.get(oldTID)
	r := from.slab.slots[slot]
	if _, ok := Next(r.phase, Execed); !ok {
		return &MoveError{TID: int(oldTID), Event: Execed, Phase: r.phase}
	}
	if oldTID == newTID && from == to {
		return nil
	}
	s.index.lock()
	defer s.index.unlock()

	if oldTID != newTID {
		r.start = 0
		if leader != nil {
			r.start = s.retire(newTID, leader)
		}
	}
	from.remove(slot)
	from.counts[r.phase]--
	s.index.del(oldTID)

	r.tid = newTID
	to.where.put(newTID, to.slab.add(r))
	to.counts[r.phase]++
	s.index.put(newTID, to.number)
	return nil
}

// retire ends the record of a leader whose tid another thread has taken, and
// returns its start time.
func (s *Set) retire(tid uint32, sh *Shard) (start uint64) {
	slot, _ := sh.where.get(tid)
	start = sh.slab.slots[slot].start
	var delta Counts
	for _, e := range [...]Event{Missing, Ended} {
		// At most one is possible: it was found, or seized, or had ended.
		sh.step(slot, e, &delta)
	}
	s.gauge.publish(&delta)
	sh.remove(slot)
	s.index.del(tid)
	return start
}
