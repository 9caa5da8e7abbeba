package attachertest_test

import (
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
)

// What was wrong when a target has ended.

// mourner takes its time to hear of those who are lost.
type mourner struct {
	attacher.Arbiter
	lost atomic.Int32
}

func (*mourner) Decide(int, attacher.Stop) attacher.Verdict { return attacher.Pass }
func (*mourner) Seized(*attacher.Owner, []int)              {}
func (*mourner) Held(*attacher.Owner, attacher.Stop)        {}
func (m *mourner) Lost(*attacher.Owner, int) {
	time.Sleep(time.Second)
	m.lost.Add(1)
}

// A session has not ended before its witness has heard that everybody is lost: a
// holder would report that it holds one.
func TestLostBeforeEnded(t *testing.T) {
	for _, own := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := attachertest.New(100, 3)
			m.SetParent(attachertest.Parent{Ours: own})
			w := new(mourner)
			s := session(t, m, attacher.Options{}, w)
			m.Kill(100, syscall.SIGKILL)
			<-s.Ended()
			if n := w.lost.Load(); n != 3 {
				t.Errorf("own child %v: %d of 3 are lost when the session has ended", own, n)
			}
			over(t, m, s)
		})
	}
}

// The target is killed when its tracers are about to end, and so hear of nobody's
// exit: a report that says that it has ended says so of all of its threads.
func TestEndedAtTheClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 4)
		var closing atomic.Bool
		m.Before = func(op string, _ int) error {
			if op == "exit" && !closing.Swap(true) {
				m.Kill(100, syscall.SIGKILL)
			}
			return nil
		}
		s := session(t, m, attacher.Options{Share: 2}, nil)
		over(t, m, s)
		if r := s.Report(); !r.Ended || r.Threads.Exited != 4 || r.Threads.Attached != 4 || !r.Converged {
			t.Errorf("%+v", r)
		}
		for th := range s.Threads() {
			t.Errorf("thread %d is %v", th.TID, th.Phase)
		}
	})
}
