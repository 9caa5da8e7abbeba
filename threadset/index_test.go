package threadset

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// checkIndex compares an index with a map, and its places with its promises.
func checkIndex(t *testing.T, x *index, want map[uint32]uint32) {
	t.Helper()
	if x.len != len(want) {
		t.Fatalf("len is %d, want %d", x.len, len(want))
	}
	for tid, number := range want {
		if got, ok := x.get(tid); !ok || got != number {
			t.Fatalf("get(%d) = %d, %v; want %d", tid, got, ok, number)
		}
	}
	taken := 0
	for _, p := range x.places {
		if p != 0 {
			taken++
		}
	}
	if taken != x.len {
		t.Fatalf("%d places taken for %d tids", taken, x.len)
	}
	if n := len(x.places); n&(n-1) != 0 || 4*taken > 3*n {
		t.Fatalf("%d of %d places taken", taken, n)
	}
}

// FuzzIndex drives an index and a map. Tids come from few values, so that
// the same are put and taken out again, and their homes collide.
func FuzzIndex(f *testing.F) {
	f.Add([]byte{1, 0, 2, 0, 3, 0, 1, 128, 2, 128, 4, 0})
	seed := make([]byte, 300)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range seed {
		seed[i] = byte(r.Uint32())
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, ops []byte) {
		var x index
		want := map[uint32]uint32{}
		for i := 0; len(ops) >= 2; i++ {
			op := binary.LittleEndian.Uint16(ops)
			ops = ops[2:]
			tid := uint32(op&0x3ff) + 1
			if op&0x400 != 0 {
				tid *= 1 << 18 // far apart
			}
			if op&0x8000 != 0 {
				x.del(tid)
				delete(want, tid)
			} else {
				old, known := want[tid]
				got, fresh := x.put(tid, uint32(i))
				if fresh == known || known && got != old || fresh && got != uint32(i) {
					t.Fatalf("put(%d, %d) = %d, %v; it had %d, %v", tid, i, got, fresh, old, known)
				}
				want[tid] = got
			}
			if _, known := want[tid^1]; tid^1 != 0 {
				if _, ok := x.get(tid ^ 1); ok != known {
					t.Fatalf("get(%d) finds it: %v, want %v", tid^1, ok, known)
				}
			}
		}
		checkIndex(t, &x, want)
	})
}

func TestIndexGrowsAndShrinks(t *testing.T) {
	var x index
	want := map[uint32]uint32{}
	r := rand.New(rand.NewPCG(3, 4))
	var tids []uint32
	for len(tids) < 50_000 {
		tid := r.Uint32N(1<<22) + 1
		if _, fresh := x.put(tid, uint32(len(tids))); fresh {
			want[tid] = uint32(len(tids))
			tids = append(tids, tid)
		}
	}
	checkIndex(t, &x, want)
	peak := len(x.places)
	for _, tid := range tids[100:] {
		x.del(tid)
		delete(want, tid)
	}
	checkIndex(t, &x, want)
	if len(x.places) > max(peak/32, shrinksAbove) {
		t.Errorf("%d places for 100 tids, %d for 50,000", len(x.places), peak)
	}
	for _, tid := range tids {
		x.del(tid)
	}
	checkIndex(t, &x, nil)
}

func TestIndexReset(t *testing.T) {
	var x index
	for _, n := range []int{0, 1, 12, 13, 3, 100_000, 98_304, 5} {
		x.reset(n)
		checkIndex(t, &x, nil)
		room := len(x.places)
		for i := range n {
			x.put(uint32(i)+1, 0)
		}
		if len(x.places) != room {
			t.Errorf("reset(%d) left room for fewer", n)
		}
	}
}

func TestIndexKnowsNoZero(t *testing.T) {
	var x index
	if _, ok := x.get(0); ok {
		t.Error("the empty index has 0")
	}
	x.put(1, 0)
	if _, ok := x.get(0); ok {
		t.Error("an index has 0")
	}
	x.del(0)
	x.del(2)
	checkIndex(t, &x, map[uint32]uint32{1: 0})
}
