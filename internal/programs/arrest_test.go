//go:build linux

package programs_test

import (
	"context"
	"errors"
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
}

// arrests stops all threads of all processes of a program under load, over and
// over, a moment each time. In between it runs for three times as long: on a slow
// machine the load of one with many threads would come to nothing else.
func arrests(t *testing.T, p *programs.Program, r stopper.Request) {
	const hold, rest = 2 * time.Millisecond, 20 * time.Millisecond
	s := attach(t, p, following[0])
	st := make(stoppers)
	var took []time.Duration
	threads, done := 0, 0
	for len(took) < size(8, 100) {
		load := underLoad(t, p, size(3*time.Second, 10*time.Second))
		for busy := true; busy; {
			begin := time.Now()
			held := st.arrest(t, s.living(), r)
			took = append(took, time.Since(begin))
			for pid, h := range held {
				threads += len(h.TIDs())
				still(t, pid, h)
			}
			time.Sleep(hold)
			for pid, h := range held {
				if err := h.Resume(); err != nil {
					t.Errorf("process %d: %v", pid, err)
				}
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
	t.Logf("%d arrests of %d threads each, in %v (median), %v at most; %d done meanwhile; %+v",
		len(took), threads/len(took), took[len(took)/2], took[len(took)-1], done, a)
	if threads < len(took) {
		t.Error("there was nobody to stop: this shows less than it should")
	}
	unharmed(t, p)
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
			r.Within = 10 * time.Second
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

// still checks that all threads of a process stand still, and are held.
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
	held := h.TIDs()
	for _, tid := range tids {
		st, err := p.Status(tid)
		if err != nil || st.State == 'Z' || st.State == 'X' {
			continue
		}
		if _, ok := slices.BinarySearch(held, tid); !ok || st.State != 't' {
			t.Errorf("thread %d of process %d is in state %c, held: %v", tid, pid, st.State, ok)
		}
	}
}
