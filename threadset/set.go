package threadset

import "sync"

// A Set is the threads of one process. The zero Set is empty and ready to
// use; it must not be copied after that.
//
// All methods may be called at any time by anybody. Threads are added and
// moved by their owners, through [Set.Shard].
type Set struct {
	index   tidIndex
	gauge   gauge
	scratch sync.Pool // of *index, for Missing

	mu      sync.RWMutex // guards the rest; shards only grow
	shards  []*Shard
	byOwner map[int]*Shard
}

// A tidIndex says in which shard a known tid is, by the shard's number: each
// alive one, and those ended ones that stay known. Its lock is taken after
// those of shards.
type tidIndex struct {
	mu sync.RWMutex
	index
}

func (x *tidIndex) lock()   { x.mu.Lock() }
func (x *tidIndex) unlock() { x.mu.Unlock() }

// Shard returns the shard of a tracer, a new one if it has none yet. Shards
// stay for as long as the set.
func (s *Set) Shard(owner int) *Shard {
	s.mu.RLock()
	sh := s.byOwner[owner]
	s.mu.RUnlock()
	if sh != nil {
		return sh
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh := s.byOwner[owner]; sh != nil {
		return sh
	}
	sh = &Shard{set: s, owner: owner, number: uint32(len(s.shards))}
	s.shards = append(s.shards, sh)
	if s.byOwner == nil {
		s.byOwner = make(map[int]*Shard)
	}
	s.byOwner[owner] = sh
	return sh
}

// all is the shards there are; the slice is never written to again.
func (s *Set) all() []*Shard {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.shards
}

// shardOf is the shard that knows a tid, nil if none does.
func (s *Set) shardOf(tid uint32) *Shard {
	s.index.mu.RLock()
	number, ok := s.index.get(tid)
	s.index.mu.RUnlock()
	if !ok {
		return nil
	}
	return s.all()[number]
}

// Get returns the thread that has a tid, whoever its owner is. Like every
// look at the set it doesn't know those that have exited or vanished.
func (s *Set) Get(tid int) (Thread, bool) {
	for {
		sh := s.shardOf(key(tid))
		if sh == nil {
			return Thread{}, false
		}
		if t, ok := sh.Get(tid); ok {
			return t, true
		}
		// The record left that shard since the index was asked (both change
		// under the shard's lock): it ended, or it moved. Ask again.
	}
}

// Counts counts the threads by phase, in constant time and without a lock.
// While moves are under way a thread may be counted in both of its phases,
// or in neither.
func (s *Set) Counts() Counts { return s.gauge.load() }

// Totals is the account since the beginning. It asks each shard; the
// identity of its numbers holds at any time.
func (s *Set) Totals() (t Totals) {
	for _, sh := range s.all() {
		sh.mu.Lock()
		t.add(sh.totals)
		t.Pending += sh.counts[Found]
		sh.mu.Unlock()
	}
	t.Found = t.Attached + t.Vanished + t.Zombie + t.Failed
	return t
}
