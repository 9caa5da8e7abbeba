package attacher_test

import (
	"slices"
	"testing"
	"time"

	"massattach/internal/target"
)

// Beside many more threads that want the CPUs than there are CPUs an attach
// takes longer, but not for ever, and lets go.
func TestBesideHogs(t *testing.T) {
	// Not many in a usual run: other packages are tested beside this one.
	rounds, busy := size(1, 9), size(24, 600)
	p := start(t, target.Mix(size(500, 10_000)))
	run := func() (attached, detached time.Duration) {
		var a, d []time.Duration
		for range rounds {
			tool := startTool(t, p.PID(), nil) // its nice value is to be its own
			tool.attached(t)
			r := tool.detach(t)
			if !r.Converged || r.Threads.Attached < p.Threads() {
				t.Errorf("%+v", r)
			}
			a, d = append(a, r.Attach.Elapsed), append(d, r.Detach.Elapsed)
		}
		slices.Sort(a)
		slices.Sort(d)
		t.Logf("attach %v, detach %v", a, d)
		return a[len(a)/2], d[len(d)/2]
	}
	attachAlone, detachAlone := run()
	hogs := start(t, target.Spec{Spin: busy})
	attachBeside, detachBeside := run()
	hogs.Close()
	free(t, p.PID())
	undisturbed(t, p)
	ratio := float64(attachBeside) / float64(attachAlone)
	t.Logf("beside %d hogs the attach took %.1f times as long, the detach %.1f", busy, ratio, float64(detachBeside)/float64(detachAlone))
	if campaign() && ratio > 10 {
		t.Errorf("beside hogs the attach took %.1f times as long", ratio)
	}
}
