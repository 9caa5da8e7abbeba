package attacher_test

import (
	"syscall"
	"testing"

	"massattach/attacher"
	"massattach/attacher/attachertest"
	"massattach/threadset"
)

// A group-stop that has ended before its tracer has looked at all of the
// threads is still one, with one end.
func TestRaceStopEndsEarly(t *testing.T) {
	m := attachertest.New(100, 20)
	stopped, looked := make(chan struct{}), make(chan struct{})
	budget := times(1)
	m.Before = func(op string, tid int) error {
		select {
		case <-stopped:
		default:
			return nil
		}
		if op == "listen" && budget() {
			// One is handled, the others are still to be.
			m.Kill(100, syscall.SIGCONT)
			close(looked)
		}
		return nil
	}
	s := attachFake(t, m, attacher.Options{Follow: attacher.FollowNone})
	_, events := s.Subscribe(attacher.EventGroupStop|attacher.EventContinue, 100)
	close(stopped)
	m.Kill(100, syscall.SIGSTOP)
	<-looked
	eventually(t, "all run", func() bool { return phases(s)[threadset.Running] == 20 })
	quiet(t, m, s)
	var kinds []attacher.EventMask
	for e := range events {
		kinds = append(kinds, e.Kind)
	}
	if n := s.Report().Events.GroupStops; n != 1 || len(kinds) != 3 {
		t.Errorf("%d group-stops, events %v", n, kinds)
	}
}
