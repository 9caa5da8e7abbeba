package stopper_test

import (
	"testing"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/stopper"
)

// All threads of the standard mix, ten times: every one stands still, and none
// has noticed.
func TestArrestAll(t *testing.T) {
	needRepair(t)
	s := newScene(t, target.Mix(size(2_000, 10_000)), attacher.Options{})
	for range 10 {
		h := s.arrest(stopper.Request{})
		all, stopped := s.inStop()
		if all != stopped || len(h.TIDs()) != all {
			t.Errorf("%d of %d threads are stopped, %d held", stopped, all, len(h.TIDs()))
		}
		r := h.Report()
		if r.Requested != all || r.Stopped != all || r.Missed != 0 || r.Elapsed <= 0 || r.Latency.Max <= 0 {
			t.Errorf("report %+v of %d threads", r, all)
		}
		s.resume(h)
		s.resume(h) // again: nothing happens
		if len(h.TIDs()) != 0 {
			t.Error("somebody is held after the resume")
		}
	}
	s.end()
	s.undisturbed()
}
