package threadset

import "slices"

// A slab holds records in slots that keep their number for as long as they
// are taken, and takes freed ones again first: it is as large as the most
// threads that were there at one time, however many came and went.
type slab struct {
	slots []record
	free  uint64 // the free slot to take next, plus one; 0: none
}

func (s *slab) add(r record) (slot uint32) {
	if s.free == 0 {
		s.slots = append(s.slots, r)
		return uint32(len(s.slots) - 1)
	}
	slot = uint32(s.free - 1)
	s.free = s.slots[slot].start
	s.slots[slot] = r
	return slot
}

// reserve makes room for n more.
func (s *slab) reserve(n int) {
	if s.free == 0 {
		s.slots = slices.Grow(s.slots, n)
	}
}

func (s *slab) remove(slot uint32) {
	s.slots[slot] = record{start: s.free}
	s.free = uint64(slot) + 1
}

// copy fills buf with the records from a slot on, and returns how many it
// copied and the slot to go on from; -1 when that was all.
func (s *slab) copy(buf []record, from int) (n, next int) {
	for i := from; i < len(s.slots); i++ {
		if s.slots[i].tid == 0 {
			continue
		}
		if n == len(buf) {
			return n, i
		}
		buf[n] = s.slots[i]
		n++
	}
	return n, -1
}
