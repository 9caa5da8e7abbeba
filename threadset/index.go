package threadset

import "math/bits"

// An index maps tids to small numbers: a hash table with open addressing and
// linear probing, 8 bytes a place and between 3/8 and 3/4 full. Go's map
// takes twice the time, which counts here: an attach spends 1.1 µs a thread
// in the kernel, and the set is not to be felt beside it.
//
// The zero index is empty. It is not for concurrent use.
type index struct {
	places []uint64 // tid<<32 | number; 0 is free
	len    int
	shift  uint8 // 32 - log2(len(places))
}

const (
	smallestIndex = 16
	// One this small never shrinks: 8 KiB, the share of one tracer, which
	// churn may empty and fill many times a second.
	shrinksAbove = 1024
)

// home is where tid would be if it were alone. The factor (2^32 divided by
// the golden ratio) spreads consecutive numbers evenly, and most tids of a
// process are consecutive.
func (x *index) home(tid uint32) int { return int(tid * 0x9E3779B1 >> x.shift) }

// find is the place of tid, or the free one where it belongs.
func (x *index) find(tid uint32) (place int, ok bool) {
	mask := len(x.places) - 1
	for i := x.home(tid); ; i = (i + 1) & mask {
		switch p := x.places[i]; {
		case uint32(p>>32) == tid:
			return i, true
		case p == 0:
			return i, false
		}
	}
}

func (x *index) get(tid uint32) (uint32, bool) {
	if x.len == 0 || tid == 0 {
		return 0, false
	}
	i, ok := x.find(tid)
	return uint32(x.places[i]), ok
}

// put enters tid unless it is there, and returns the number it then has and
// whether that is the new one. The tid isn't 0.
func (x *index) put(tid, number uint32) (uint32, bool) {
	if 4*(x.len+1) > 3*len(x.places) {
		x.resize(max(2*len(x.places), smallestIndex))
	}
	i, ok := x.find(tid)
	if ok {
		return uint32(x.places[i]), false
	}
	x.places[i] = uint64(tid)<<32 | uint64(number)
	x.len++
	return number, true
}

// del takes tid out and closes the gap, so that churn leaves no tombstones:
// whoever was pushed past the gap by those before it moves back.
func (x *index) del(tid uint32) {
	if x.len == 0 || tid == 0 {
		return
	}
	gap, ok := x.find(tid)
	if !ok {
		return
	}
	mask := len(x.places) - 1
	for i := (gap + 1) & mask; x.places[i] != 0; i = (i + 1) & mask {
		home := x.home(uint32(x.places[i] >> 32))
		// The one at i may fill the gap unless its home lies behind it.
		if (i-home)&mask >= (i-gap)&mask {
			x.places[gap] = x.places[i]
			gap = i
		}
	}
	x.places[gap] = 0
	x.len--
	// Room follows the threads down, too, but late: a count that swings
	// about a bound isn't to resize each time.
	if len(x.places) > shrinksAbove && 8*x.len < len(x.places) {
		x.resize(len(x.places) / 2)
	}
}

// reserve makes room for n more.
func (x *index) reserve(n int) {
	if n += x.len; 4*n > 3*len(x.places) {
		x.resize(max(1<<bits.Len(uint(n+n/3)), smallestIndex))
	}
}

// reset empties the index and leaves room for n.
func (x *index) reset(n int) {
	x.len = 0
	if 4*n > 3*len(x.places) {
		x.places = nil
		x.reserve(n)
		return
	}
	clear(x.places)
}

func (x *index) resize(size int) {
	old := x.places
	x.places = make([]uint64, size)
	x.shift = uint8(32 - bits.TrailingZeros(uint(size)))
	for _, p := range old {
		if p != 0 {
			i, _ := x.find(uint32(p >> 32))
			x.places[i] = p
		}
	}
}
