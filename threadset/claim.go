package threadset

// A thread may come to its tracer by itself: with PTRACE_O_TRACECLONE it is
// born seized, and an exec gives it another number. Meanwhile a scan may have
// found the same thread in the list and given it to another tracer, whose SEIZE
// is then refused. What follows makes that one thread again.

// Claim enters a thread that the kernel has made a tracee of the shard's owner
// without a SEIZE, as born and running. It takes the tid from whoever else has
// a record of it: one that is only found is withdrawn, one that is seized was
// of an earlier thread with this number, which must have ended since.
func (sh *Shard) Claim(tid int) {
	if key(tid) == 0 {
		return
	}
	for {
		sh.Found([]int{tid}, true)
		if sh.Apply([]int{tid}, Seized) == 1 {
			return
		}
		if other := sh.set.shardOf(key(tid)); other != nil {
			other.yield(tid)
		}
	}
}

// Withdraw drops the record of a thread that is only found, as if it never had
// been: it turned out to be another tracer's. Of any other it does nothing.
func (sh *Shard) Withdraw(tid int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if slot, ok := sh.where.get(key(tid)); ok && sh.slab.slots[slot].phase == Found {
		sh.drop(slot)
	}
}

// yield gives a tid up, for somebody who knows better whose it is.
func (sh *Shard) yield(tid int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	slot, ok := sh.where.get(key(tid))
	if !ok {
		return
	}
	switch p := sh.slab.slots[slot].phase; {
	case p == Found:
		sh.drop(slot)
	case p.Seized():
		var delta Counts
		sh.step(slot, Ended, &delta)
		sh.set.gauge.publish(&delta)
		sh.unlist(slot)
	}
}

// drop takes a found record back, out of the counts as well.
func (sh *Shard) drop(slot uint32) {
	sh.counts[Found]--
	sh.set.gauge[Found].Add(-1)
	sh.unlist(slot)
}

// unlist takes a record out of the shard and of the set's index.
func (sh *Shard) unlist(slot uint32) {
	sh.set.index.lock()
	sh.set.index.del(sh.slab.slots[slot].tid)
	sh.set.index.unlock()
	sh.remove(slot)
}
