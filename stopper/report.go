package stopper

import (
	"slices"
	"time"

	"massattach/attacher"
	"massattach/stopper/notify"
)

// Report is an account of one arrest and its hold: of this moment, or, when the
// holder has let go, of that at which it did.
type Report struct {
	// Requested = Stopped + InKernel + Missed; threads that have ended are in none.
	Requested int
	Stopped   int // that are held in a stop
	InKernel  int // that are held in the kernel, in notify style
	Missed    int // that have not stopped in time, and run
	// BestEffort is how many threads could not be sent a signal in notify style, and
	// were interrupted: what they run until then is not bounded.
	BestEffort int
	// LateBirths is how many were born while all were held in notify style, by a call
	// that had been under way in the kernel: they were seized and interrupted.
	LateBirths int
	Style      Style
	// Mechanism and Guarantee say how, and what that promises.
	Mechanism string
	Guarantee Guarantee
	// Complete: everybody who was asked for has stopped. When the time was over it
	// is false, also if nobody is known who is missing.
	Complete bool
	// Missing names the missed.
	Missing []Missing
	// Born is how many threads were seized since the arrest began, as part of it.
	Born int
	// Elapsed runs from the first INTERRUPT, or the arming, to the last thread that
	// stopped, or was confirmed to be in the kernel, or to the deadline; Selecting is the scan that selected, before that.
	Elapsed, Selecting time.Duration
	// Held runs from the end of the arrest.
	Held time.Duration
	// Latency is for how long after it was asked each thread had stopped, or was
	// confirmed.
	Latency attacher.Quantiles
}

// Report answers an account.
func (h *Held) Report() Report {
	missing := h.Missing()
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.account(missing)
	r.Latency = attacher.QuantilesOf(slices.Clone(h.took))
	return r
}

// account is the report but for the latencies: to sort them takes a millisecond for
// 10,000 threads, which nobody has to stand still for. h.mu is held.
func (h *Held) account(missing []Missing) Report {
	if h.final != nil {
		return *h.final
	}
	r := Report{
		Style: h.style, Mechanism: "ptrace", Guarantee: notify.Strict,
		Stopped: h.stopped, InKernel: h.inKernel, Missed: len(missing), Missing: missing, Requested: h.stopped + h.inKernel + len(missing),
		BestEffort: h.silenced, LateBirths: int(h.belated.Load()),
		Born: h.born, Complete: h.complete, Selecting: h.picking,
	}
	if m := h.st.view.Load().mechanism; m != nil && h.style == Notify {
		if r.Mechanism, r.Guarantee = m.Name(), m.Guarantee(); r.LateBirths > 0 {
			r.Guarantee = notify.BestEffort
		}
	}
	switch {
	case len(missing) > 0 && !h.ended.IsZero():
		r.Elapsed = h.ended.Sub(h.begin)
	case !h.last.IsZero():
		r.Elapsed = h.last.Sub(h.begin)
	}
	if !h.ended.IsZero() {
		r.Held = time.Since(h.ended)
	}
	return r
}
