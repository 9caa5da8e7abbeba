package threadset

// lookups is how many tids Fresh asks for while it keeps tracers that find
// or end threads waiting for the index: some µs.
const lookups = 512

// Fresh appends to dst the listed tids that the set doesn't know, and returns
// it: whom to seize. A tid is known while its thread is alive, from [Found]
// on, and while it is a zombie or failed one that is still listed.
func (s *Set) Fresh(listed, dst []int) []int {
	for len(listed) > 0 {
		n := min(len(listed), lookups)
		s.index.mu.RLock()
		for _, tid := range listed[:n] {
			if _, ok := s.index.get(key(tid)); !ok && key(tid) != 0 {
				dst = append(dst, tid)
			}
		}
		s.index.mu.RUnlock()
		listed = listed[n:]
	}
	return dst
}

// Missing appends to dst the tids of seized, unended threads that the listing
// lacks, and returns it. Such a thread was reaped while the list was read,
// and its owner is about to say so; or its number was reused between a
// listing and the SEIZE, and it belongs to a stranger. (One that has exited
// and is not reaped yet is still listed.)
//
// A thread that was found after the listing began isn't in it, either: who
// adds threads beside the one who lists has to look again before it calls
// anybody a stranger.
//
// Missing is also where the set learns that zombie and failed threads are
// gone: those that the listing lacks are forgotten, so that their tids are
// fresh when they come back.
func (s *Set) Missing(listed, dst []int) []int {
	here, _ := s.scratch.Get().(*index)
	if here == nil {
		here = new(index)
	}
	defer s.scratch.Put(here)
	here.reset(len(listed))
	for _, tid := range listed {
		if k := key(tid); k != 0 {
			here.put(k, 0)
		}
	}
	var buf [chunk]record
	for _, sh := range s.all() {
		for from := 0; from >= 0; {
			var n int
			sh.mu.Lock()
			n, from = sh.slab.copy(buf[:], from)
			sh.mu.Unlock()
			for _, r := range buf[:n] {
				if _, ok := here.get(r.tid); ok {
					continue
				}
				if r.phase.Seized() {
					dst = append(dst, int(r.tid))
				} else if r.phase.Ended() {
					s.forget(r.tid)
				}
			}
		}
	}
	return dst
}

// forget drops the record of a tid if it has ended, and reports whether the
// tid is unknown now.
func (s *Set) forget(tid uint32) bool {
	for {
		sh := s.shardOf(tid)
		if sh == nil {
			return true
		}
		if ended, here := sh.forget(tid); here {
			return ended
		}
		// It left that shard meanwhile, as in Get.
	}
}

// forget drops the record of a tid if it is here and has ended.
func (sh *Shard) forget(tid uint32) (ended, here bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	slot, here := sh.where.get(tid)
	if !here || !sh.slab.slots[slot].phase.Ended() {
		return false, here
	}
	sh.set.index.lock()
	sh.set.index.del(tid)
	sh.set.index.unlock()
	sh.remove(slot)
	return true, true
}
