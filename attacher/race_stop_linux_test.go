package attacher_test

import (
	"sync/atomic"
	"syscall"
	"testing"
	"time"

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

// A tracer that is to end loses its CPU for longer than it has patience with
// signals that come without end: what they have interrupted is mended all the same.
func TestRaceSlowEnd(t *testing.T) {
	m := attachertest.New(100, 20)
	var ending atomic.Bool
	var looks atomic.Int64
	m.Before = func(op string, tid int) error {
		if op == "look" && ending.Load() {
			if looks.Add(1) == 1 {
				for tid := 101; tid < 110; tid++ {
					m.Signal(tid, syscall.SIGWINCH)
				}
			}
			time.Sleep(6 * time.Millisecond)
		}
		return nil
	}
	s := attachFake(t, m, attacher.Options{Follow: attacher.FollowNone})
	ending.Store(true)
	quiet(t, m, s)
	if looks.Load() < 10 {
		t.Errorf("%d looks", looks.Load())
	}
}
