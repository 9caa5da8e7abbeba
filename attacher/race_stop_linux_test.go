package attacher_test

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
	"massattach/procfs"
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

// The session is closed at each of the looks at the process with which somebody finds
// out whether he holds all: he hears of that, not of what the looks met with.
func TestRaceClosed(t *testing.T) {
	for _, ask := range []struct {
		name string
		ask  func(s *attacher.Session) error
	}{
		{"all", func(s *attacher.Session) error {
			_, err := s.AreAll(t.Context(), func() int { return 20 })
			return err
		}},
		{"gather", func(s *attacher.Session) error {
			_, err := s.Gather(t.Context())
			return err
		}},
	} {
		for at, closed := 1, true; closed; at++ {
			m := attachertest.New(100, 20)
			var s *attacher.Session
			var asking atomic.Bool
			n := 0
			closed = false
			m.Before = func(op string, tid int) error {
				if !asking.Load() || op != "threads" && op != "select" {
					return nil
				}
				if n++; n == at {
					asking.Store(false)
					closed = true
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				}
				return nil
			}
			s = attachFake(t, m, attacher.Options{Follow: attacher.FollowNone})
			asking.Store(true)
			err := ask.ask(s)
			asking.Store(false)
			if err != nil && !errors.Is(err, attacher.ErrClosed) {
				t.Errorf("%s, closed at look %d: %v", ask.name, at, err)
			}
			if at == 1 && !closed {
				t.Errorf("%s: there was no look", ask.name)
			}
		}
	}
}

// Who selects threads of a process that has ended hears that it has.
func TestRaceSelectGone(t *testing.T) {
	m := attachertest.New(100, 20)
	s := attachFake(t, m, attacher.Options{Follow: attacher.FollowNone})
	m.Kill(100, syscall.SIGKILL)
	<-s.Ended()
	if tids, err := s.Select(procfs.Selection{State: "S"}); !errors.Is(err, attacher.ErrGone) {
		t.Errorf("%v, %v", tids, err)
	}
	quiet(t, m, s)
}
