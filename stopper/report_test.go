package stopper_test

import (
	"syscall"
	"testing"

	"massattach/attacher"
	"massattach/stopper"
)

// The process is killed, or one of its threads ends, just before the end of a
// hold, and nobody has heard of it yet: the report holds none of the dead.
func TestDeadAtTheEndOfAHold(t *testing.T) {
	for _, op := range []string{"ring", "cont"} {
		onFake(t, 4, attacher.Options{Share: 2}, func(f *fake) {
			h := f.arrest(stopper.Request{})
			f.once(op, func(int) { f.m.Kill(100, syscall.SIGKILL) })
			must(t, h.Resume())
			<-f.session.Ended()
			if r := h.Report(); r.Stopped != 0 || r.Requested != 0 {
				t.Errorf("killed at a %s: %+v", op, r)
			}
		})
	}
}

// Who is held by somebody else, too, has been held to the end.
func TestSharedAtTheEndOfAHold(t *testing.T) {
	onFake(t, 4, attacher.Options{Share: 2}, func(f *fake) {
		h := f.arrest(stopper.Request{})
		other := f.arrest(some(101, 102))
		must(t, h.Resume())
		if r := h.Report(); r.Stopped != 4 || r.Requested != 4 {
			t.Errorf("%+v", r)
		}
		must(t, other.Resume())
		if r := other.Report(); r.Stopped != 2 || r.Requested != 2 {
			t.Errorf("of the other: %+v", r)
		}
	})
}
