package stopper

import (
	"slices"
	"time"

	"massattach/attacher"
)

// Report is an account of one arrest and its hold: of this moment, or, when the
// holder has let go, of that at which it did.
type Report struct {
	// Requested = Stopped + Missed; threads that have ended are in none.
	Requested int
	Stopped   int // that are held
	Missed    int // that have not stopped in time, and run
	// Complete: everybody who was asked for has stopped. When the time was over it
	// is false, also if nobody is known who is missing.
	Complete bool
	// Missing names the missed.
	Missing []Missing
	// Born is how many threads were seized since the arrest began, as part of it.
	Born int
	// Elapsed runs from the first INTERRUPT to the last thread that stopped, or
	// to the deadline; Selecting is the scan that selected, before that.
	Elapsed, Selecting time.Duration
	// Held runs from the end of the arrest.
	Held time.Duration
	// Latency is for how long after its INTERRUPT each thread had stopped.
	Latency attacher.Quantiles
}

// Report answers an account.
func (h *Held) Report() Report {
	missing := h.Missing()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.final != nil {
		return *h.final
	}
	r := Report{
		Stopped: h.stopped, Missed: len(missing), Missing: missing, Requested: h.stopped + len(missing),
		Born: h.born, Complete: h.complete, Selecting: h.picking, Latency: attacher.QuantilesOf(slices.Clone(h.took)),
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
