package stopper

import (
	"time"

	"massattach/attacher"
)

// arbiter is the stopper as the session knows it: an [attacher.Witness].
type arbiter Stopper

var _ attacher.Witness = (*arbiter)(nil)

// Decide holds whom somebody wants, and whoever is born while all are wanted.
func (a *arbiter) Decide(tid int, s attacher.Stop) attacher.Verdict {
	st := (*Stopper)(a)
	v, w := st.view.Load(), st.ward(s.Owner())
	if s.Kind == attacher.StopExec {
		execed(v, w, s)
	}
	if s.Born {
		for _, h := range v.open {
			h.bornMeanwhile(1)
			w.enter(tid, h, time.Now())
		}
	}
	for _, u := range v.hunts {
		if h := u.catch(s); h != nil {
			w.enter(tid, h, time.Now())
		}
	}
	if w.wanted(tid) {
		return attacher.Hold
	}
	return attacher.Pass
}

// execed gives the one thread that is left the leader's number. The leader's
// tracer, if that is another, never hears that it has ended.
func execed(v *view, w *ward, s attacher.Stop) {
	if s.OldTID == s.TID {
		return
	}
	for _, other := range v.wards {
		if other != w {
			other.lose(s.TID)
		}
	}
	w.rename(s.OldTID, s.TID)
}

// Seized arrests whoever is seized while all are wanted.
func (a *arbiter) Seized(o *attacher.Owner, tids []int) {
	st := (*Stopper)(a)
	for _, h := range st.view.Load().open {
		h.bornMeanwhile(len(tids))
		st.ward(o.ID()).arrest(o, tids, h)
	}
}

// Held tells the holders.
func (a *arbiter) Held(o *attacher.Owner, s attacher.Stop) {
	(*Stopper)(a).ward(o.ID()).stop(s.TID, time.Now())
}

// Lost tells them that there is nobody to hold.
func (a *arbiter) Lost(o *attacher.Owner, tid int) {
	(*Stopper)(a).ward(o.ID()).lose(tid)
}
