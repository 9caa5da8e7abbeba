package threadset

import (
	"iter"
	"sync"
)

// A Shard is the threads of one tracer. It comes from [Set.Shard].
//
// All methods may be called at any time by anybody; but only its owner is to
// add and to move its threads, since nobody else knows what they do. So two
// moves never contend for the lock, and between Get and Move of an owner
// nothing happens (save [Set.Rename], which ends a leader's record wherever
// it is).
type Shard struct {
	set    *Set
	owner  int
	number uint32 // in set.shards

	mu     sync.Mutex
	where  index // tid to slot
	slab   slab
	counts Counts
	totals Totals // Found and Pending are left to Set.Totals
}

// Owner is the thread id of the tracer.
func (sh *Shard) Owner() int { return sh.owner }

// Found adds a record in phase [Found] for each of tids, born ones or those
// of the first pass. A tid that is known is skipped, whoever's it is, unless
// its thread has ended (as zombie or failed, the others are not known): the
// caller says that the number has come back, and the new record takes the
// place of the old, which the totals go on counting. What can't be a tid
// (under 1, over 2^31-1) is skipped, too.
//
// It returns who has a record in another shard: whoever found it there is the
// one to seize it.
func (sh *Shard) Found(tids []int, born bool) (elsewhere []int) {
	for _, tid := range sh.found(tids, born) {
		if !sh.set.forget(key(tid)) || len(sh.found([]int{tid}, born)) > 0 {
			elsewhere = append(elsewhere, tid)
		}
	}
	return elsewhere
}

// found does all that one shard's lock allows, and returns the tids that
// other shards know.
func (sh *Shard) found(tids []int, isBorn bool) (elsewhere []int) {
	proto := record{phase: Found}
	if isBorn {
		proto.flags = born
	}
	n := 0
	sh.mu.Lock()
	sh.set.index.lock()
	sh.set.index.reserve(len(tids))
	sh.where.reserve(len(tids))
	sh.slab.reserve(len(tids))
	for _, tid := range tids {
		k := key(tid)
		if k == 0 {
			continue
		}
		r := proto
		r.tid = k
		if number, fresh := sh.set.index.put(k, sh.number); fresh {
			sh.where.put(k, sh.slab.add(r))
			n++
		} else if number != sh.number {
			elsewhere = append(elsewhere, tid)
		} else if slot, _ := sh.where.get(k); sh.slab.slots[slot].phase.Ended() {
			sh.slab.slots[slot] = r
			n++
		}
	}
	sh.counts[Found] += n
	sh.set.index.unlock()
	sh.mu.Unlock()
	sh.set.gauge[Found].Add(int64(n))
	return elsewhere
}

// Apply moves each of tids by e and returns for how many that was possible;
// the others stay as they are. A tid that the shard doesn't know counts as
// impossible.
//
// A thread that comes to [Exited] or [Vanished] is forgotten at once: from
// then on only the counts and totals tell of it, and its tid is free for
// another thread.
func (sh *Shard) Apply(tids []int, e Event) (moved int) {
	var delta Counts
	ends := false
	sh.mu.Lock()
	for _, tid := range tids {
		slot, ok := sh.where.get(key(tid))
		if !ok {
			continue
		}
		p, ok := sh.step(slot, e, &delta)
		if !ok {
			continue
		}
		moved++
		if p.forgotten() {
			if !ends {
				// Once a batch; that lock is always taken after a shard's.
				sh.set.index.lock()
				ends = true
			}
			sh.set.index.del(key(tid))
			sh.remove(slot)
		}
	}
	if ends {
		sh.set.index.unlock()
	}
	sh.mu.Unlock()
	sh.set.gauge.publish(&delta)
	return moved
}

// Move moves one thread by e and returns what it then is; after an end, what
// it was when it was forgotten (see [Shard.Apply]). If the move is impossible
// or the tid unknown here, the error is a [*MoveError], nothing has changed,
// and the Thread is the one that is there, if any.
func (sh *Shard) Move(tid int, e Event) (Thread, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	slot, ok := sh.where.get(key(tid))
	if !ok {
		return Thread{}, &MoveError{TID: tid, Event: e, Unknown: true}
	}
	var delta Counts
	p, ok := sh.step(slot, e, &delta)
	t := sh.slab.slots[slot].thread(sh.owner)
	if !ok {
		return t, &MoveError{TID: tid, Event: e, Phase: p}
	}
	if p.forgotten() {
		sh.set.index.lock()
		sh.set.index.del(key(tid))
		sh.set.index.unlock()
		sh.remove(slot)
	}
	sh.set.gauge.publish(&delta)
	return t, nil
}

// step moves the record in a slot and counts that; the caller holds mu,
// publishes delta, and removes a record that is to be forgotten.
func (sh *Shard) step(slot uint32, e Event, delta *Counts) (Phase, bool) {
	r := &sh.slab.slots[slot]
	p, ok := Next(r.phase, e)
	if !ok {
		return p, false
	}
	sh.counts[r.phase]--
	sh.counts[p]++
	delta[r.phase]--
	delta[p]++
	sh.totals.count(e, *r)
	r.phase = p
	return p, true
}

// remove takes a record out of the shard, but not out of the set's index.
func (sh *Shard) remove(slot uint32) {
	sh.where.del(sh.slab.slots[slot].tid)
	sh.slab.remove(slot)
}

// SetJobStopped notes whether job control has the thread stopped, and
// reports whether that was news. Of an unknown tid nothing is.
func (sh *Shard) SetJobStopped(tid int, on bool) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	slot, ok := sh.where.get(key(tid))
	if !ok {
		return false
	}
	r := &sh.slab.slots[slot]
	if on == (r.flags&jobStopped != 0) {
		return false
	}
	r.flags ^= jobStopped
	return true
}

// SetStart notes the start time of a thread; an unknown tid is ignored.
func (sh *Shard) SetStart(tid int, start uint64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if slot, ok := sh.where.get(key(tid)); ok {
		sh.slab.slots[slot].start = start
	}
}

// Get returns the thread that has a tid, if this shard knows it.
func (sh *Shard) Get(tid int) (Thread, bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	slot, ok := sh.where.get(key(tid))
	if !ok {
		return Thread{}, false
	}
	return sh.slab.slots[slot].thread(sh.owner), true
}

// Counts counts this shard's threads by phase, in constant time. A record
// that was renamed into another shard counts there from then on.
func (sh *Shard) Counts() Counts {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.counts
}

// Live is how many threads the tracer has seized that have not ended.
func (sh *Shard) Live() int { return sh.Counts().Live() }

// All yields the threads that the shard knows, as [Set.All] does.
func (sh *Shard) All() iter.Seq[Thread] {
	return func(yield func(Thread) bool) {
		sh.each(everyPhase, yield)
	}
}

// In yields the threads that are in phase p, as [Set.All] does.
func (sh *Shard) In(p Phase) iter.Seq[Thread] {
	return func(yield func(Thread) bool) {
		sh.each(only(p), yield)
	}
}
