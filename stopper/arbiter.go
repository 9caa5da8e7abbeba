package stopper

import (
	"time"

	"massattach/attacher"
	"massattach/stopper/notify"
)

// arbiter is the stopper as the session knows it: an [attacher.Witness].
type arbiter Stopper

var _ attacher.Witness = (*arbiter)(nil)

// Decide holds whom somebody wants, and whoever is born while all are wanted.
func (a *arbiter) Decide(tid int, s attacher.Stop) attacher.Verdict {
	st := (*Stopper)(a)
	v, w := st.view.Load(), st.ward(s.Owner())
	switch s.Kind {
	case attacher.StopExec:
		execed(v, w, s)
		if s.OldTID != s.TID && v.mechanism != nil {
			st.arms.lost(s.OldTID)
		}
	case attacher.StopNotify:
		w.paid(tid)
		if merged(v.mechanism, s) {
			return attacher.Deliver
		}
	}
	if s.Born {
		for _, h := range v.open {
			h.bornMeanwhile(1)
			w.enter(tid, h, time.Now(), 0)
		}
	}
	for _, u := range v.hunts {
		if h := u.catch(s); h != nil {
			w.enter(tid, h, time.Now(), 0)
		}
	}
	switch wanted, at := w.wanted(tid); {
	case !wanted:
		return attacher.Pass
	case s.Kind == attacher.StopClone && !at:
		return attacher.Pass // it goes on in the kernel, and stops at its end
	}
	return attacher.Hold
}

// merged says whether a signal of ours stands for one of the target's own, which it
// is made into.
func merged(m notify.Mechanism, s attacher.Stop) bool {
	if m == nil {
		return false
	}
	b, ok := m.Merged(s.TID, s.Signal)
	if !ok {
		return false
	}
	var si attacher.Siginfo
	copy(si[:], b)
	return s.SetSiginfo(&si) == nil
}

// execed gives the one thread that is left the leader's number. The leader's
// tracer, if that is another, never hears that it has ended.
//
// Who has arrested the leader holds this one from now on, unless the leader's end is
// known already: it may have been armed by that number, and been found in the kernel.
// One that is about to let go does not: it may have passed here.
func execed(v *view, w *ward, s attacher.Stop) {
	if s.OldTID == s.TID {
		return
	}
	var leaders []*thread
	for _, other := range v.wards {
		if t := other.take(s.TID); t != nil {
			leaders = append(leaders, t)
		}
	}
	w.rename(s.OldTID, s.TID)
	for _, leader := range leaders {
		for _, h := range leader.holders {
			if h.hunt == nil && !h.releasing.Load() {
				w.enter(s.TID, h, time.Now(), leader.armed)
			}
			h.lost(leader) // now, or h would have nobody for a moment, and be done
		}
	}
}

// Seized arrests whoever is seized while all are wanted.
func (a *arbiter) Seized(o *attacher.Owner, tids []int) {
	st := (*Stopper)(a)
	for _, h := range st.view.Load().open {
		h.bornMeanwhile(len(tids))
		switch {
		case h.style == Interrupt:
			st.ward(o.ID()).arrest(o, tids, h)
		case h.isOver():
			// It was born by a call that was under way in the kernel, and may have
			// run.
			h.belated.Add(int32(st.ward(o.ID()).arrest(o, tids, h)))
		}
		// Else the arrest finds them, and has them armed.
	}
}

// Held tells the holders.
func (a *arbiter) Held(o *attacher.Owner, s attacher.Stop) {
	(*Stopper)(a).ward(o.ID()).stop(s.TID, time.Now())
}

// Lost tells them that there is nobody to hold.
func (a *arbiter) Lost(o *attacher.Owner, tid int) {
	st := (*Stopper)(a)
	st.ward(o.ID()).lose(tid)
	if st.view.Load().mechanism != nil {
		st.arms.lost(tid)
	}
}
