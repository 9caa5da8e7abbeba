//go:build linux

package programs_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/programs"
	"massattach/procfs"
	"massattach/stopper"
)

// styles are the ways to stop all threads of a process.
var styles = []struct {
	name    string
	request stopper.Request
}{
	{"interrupt", stopper.Request{}},
	{"notify", stopper.Request{Style: stopper.Notify}},
}

// arrests stops all threads of all processes of a program under load, over and
// over, a moment each time. In between it runs for three times as long: on a slow
// machine the load of one with many threads would come to nothing else.
func arrests(t *testing.T, p *programs.Program, r stopper.Request) {
	const hold, rest = 2 * time.Millisecond, 20 * time.Millisecond
	s := attach(t, p, following[0])
	st := make(stoppers)
	var took []time.Duration
	var sum tally
	done := 0
	for len(took) < size(5, 100) {
		load := underLoad(t, p, size(2*time.Second, 10*time.Second))
		for busy := true; busy; {
			begin := time.Now()
			held := st.arrest(t, s.living(), r)
			took = append(took, time.Since(begin))
			for pid, h := range held {
				sum.add(h.Report())
				still(t, pid, h)
			}
			time.Sleep(hold)
			for pid, h := range held {
				if err := h.Resume(); err != nil {
					t.Errorf("process %d: %v", pid, err)
				}
				sum.late += h.Report().LateBirths
			}
			select {
			case l := <-load:
				busy, done = false, done+l.Done
			case <-time.After(max(rest, 3*time.Since(begin))):
			}
		}
	}
	a := s.detach(t)
	slices.Sort(took)
	t.Logf("%d arrests in %v (median), %v at most; %v; %d done meanwhile; %+v",
		len(took), took[len(took)/2], took[len(took)-1], &sum, done, a)
	if sum.requested < len(took) {
		t.Error("there was nobody to stop: this shows less than it should")
	}
	unharmed(t, p)
}

// tally sums up what arrests of single processes say of themselves.
type tally struct {
	by                    string // the mechanism
	elapsed               []time.Duration
	stopped, inKernel     []int // threads of each
	requested, mute, late int
}

func (a *tally) add(r stopper.Report) {
	a.by = r.Mechanism
	a.elapsed = append(a.elapsed, r.Elapsed)
	a.stopped, a.inKernel = append(a.stopped, r.Stopped), append(a.inKernel, r.InKernel)
	a.requested += r.Requested
	a.mute += r.BestEffort
}

func (a *tally) String() string {
	return fmt.Sprintf("of each process by %s: %v, %d stopped and %d in the kernel (medians); best effort %d, late births %d; %d threads in all",
		a.by, median(a.elapsed), median(a.stopped), median(a.inKernel), a.mute, a.late, a.requested)
}

func median[T cmp.Ordered](all []T) (m T) {
	if len(all) > 0 {
		m = slices.Sorted(slices.Values(all))[len(all)/2]
	}
	return m
}

// stoppers are those of sessions.
type stoppers map[*attacher.Session]*stopper.Stopper

// arrest stops all threads of several processes at a time; those that end
// meanwhile are left out.
func (all stoppers) arrest(t *testing.T, sessions []*attacher.Session, r stopper.Request) map[int]*stopper.Held {
	t.Helper()
	ended := func(err error) bool { return errors.Is(err, attacher.ErrGone) || errors.Is(err, attacher.ErrClosed) }
	held := make(map[int]*stopper.Held)
	var mu sync.Mutex
	var arresting sync.WaitGroup
	for _, s := range sessions {
		st := all[s]
		if st == nil {
			var err error
			if st, err = stopper.New(s, nil); err != nil {
				t.Errorf("process %d: %v", s.PID(), err)
				continue
			}
			all[s] = st
		}
		arresting.Go(func() {
			r := r
			r.Within = time.Minute
			h, err := st.Arrest(context.Background(), r)
			if ended(err) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			held[s.PID()] = h
		})
	}
	arresting.Wait()
	return held
}

// still checks that all threads of a process are held: stopped, or, in notify style,
// in the kernel. A birth that was under way there comes late.
func still(t *testing.T, pid int, h *stopper.Held) {
	t.Helper()
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		return // it was killed
	}
	defer p.Close()
	tids, err := p.AppendTIDs(nil)
	if err != nil {
		return
	}
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		inKernel, stopped := h.InKernel(), h.TIDs() // in this order: one that stops meanwhile is in both
		tids = slices.DeleteFunc(tids, func(tid int) bool {
			if _, asleep := slices.BinarySearch(inKernel, tid); asleep {
				return true
			}
			_, held := slices.BinarySearch(stopped, tid)
			st, err := p.Status(tid)
			return err != nil || st.State == 'Z' || st.State == 'X' || held && st.State == 't'
		})
		if len(tids) == 0 {
			return
		}
		if h.Report().Style == stopper.Interrupt || time.Since(begin) > 2*time.Minute {
			t.Errorf("threads %v of process %d are not held, or not stopped", tids, pid)
			return
		}
	}
}
