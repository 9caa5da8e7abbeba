package stopper

import (
	"slices"
	"time"

	"massattach/attacher"
)

// What a ward knows of who is armed, in notify style.

// arm has an owner's tracees entered for h, and answers those that are to be armed.
func (w *ward) arm(o *attacher.Owner, tids []int, h *Held, arming int) []int {
	fresh := make([]int, 0, len(tids))
	now := time.Now()
	for _, tid := range tids {
		if w.enter(tid, h, now, arming) {
			fresh = append(fresh, tid)
		}
	}
	o.Armed(fresh)
	return fresh
}

// keepArmed takes those out of stray who are wanted, and armed by an arming.
func (w *ward) keepArmed(stray map[int]bool, arming int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for tid, t := range w.threads {
		if t.armed == arming {
			delete(stray, tid)
		}
	}
}

// unarm takes an arming back that has failed.
func (w *ward) unarm(arming int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.threads {
		if t.armed == arming {
			t.armed = 0
		}
	}
}

// interrupt has those of an owner's tracees stop that are armed and could not be
// sent a signal.
func (w *ward) interrupt(o *attacher.Owner, tids []int) {
	var mute []int
	w.mu.Lock()
	for _, tid := range tids {
		t := w.threads[tid]
		if t == nil || t.stopped || t.mute {
			continue
		}
		t.mute, t.interrupted = true, true
		for _, h := range t.holders {
			h.silent(t)
		}
		t.inKernel = false
		mute = append(mute, tid)
	}
	w.mu.Unlock()
	for _, tid := range mute {
		_ = o.Interrupt(tid) // see arrest
	}
	o.Expect(mute)
}

// park notes that who was armed no later than by the arming that is given, and has
// not stopped, is in the kernel, but for those that are pending.
func (w *ward) park(o *attacher.Owner, arming int, pending map[int]bool, now time.Time) {
	var parked []int
	w.mu.Lock()
	for tid, t := range w.threads {
		if t.stopped || t.inKernel || t.mute || t.armed == 0 || t.armed > arming || pending[tid] {
			continue
		}
		t.inKernel = true
		parked = append(parked, tid)
		for _, h := range t.holders {
			h.sleeps(t, now)
		}
	}
	w.mu.Unlock()
	o.InKernel(parked)
}

// disarm answers the threads that are armed for nobody but those who are to go: of
// all their threads, or only of those that are not settled. They are armed no more.
func (w *ward) disarm(goes func(*Held) bool, unsettled bool) (tids []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for tid, t := range w.threads {
		if t.armed == 0 {
			continue
		}
		stays := func(h *Held) bool { return h.style == Notify && (!goes(h) || unsettled && t.settled(h)) }
		if !slices.ContainsFunc(t.holders, stays) {
			t.armed = 0
			tids = append(tids, tid)
		}
	}
	slices.Sort(tids)
	return tids
}
