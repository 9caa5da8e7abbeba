package stopper_test

import (
	"sync"
	"testing"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/stopper"
)

// Case 75: the registers of blocked calls, in one arrest and in the next, and what
// the calls are restarted with.
func TestRegistersStay(t *testing.T) {
	s := newScene(t, target.Spec{Epoll: 50, Sem: 50, Futex: 50, Read: 50, Sleep: 50}, attacher.Options{})
	read := func() map[int]attacher.Regs {
		var mu sync.Mutex
		all := make(map[int]attacher.Regs)
		h := s.arrest(stopper.Request{})
		must(t, h.Each(func(th stopper.Thread) error {
			var r attacher.Regs
			if err := th.Regs(&r); err != nil {
				return err
			}
			mu.Lock()
			all[th.TID()] = r
			mu.Unlock()
			return nil
		}))
		for _, tid := range h.TIDs()[:10] {
			var r attacher.Regs
			must(t, h.Regs(tid, &r))
			if r != all[tid] {
				t.Errorf("thread %d: registers differ from one reading to the next", tid)
			}
		}
		s.resume(h)
		return all
	}
	kinds := s.kinds()
	before := read()
	s.runs()
	s.sleep(kinds)
	after := read()
	for _, kind := range []string{target.KindEpoll, target.KindSem, target.KindFutex, target.KindRead} {
		for _, tid := range kinds[kind] {
			a, b := before[tid], after[tid]
			if a.Rsp == 0 || a.Orig_rax != b.Orig_rax {
				t.Fatalf("thread %d in %s: call %d, then %d", tid, kind, a.Orig_rax, b.Orig_rax)
			}
			if a != b {
				t.Errorf("thread %d in %s:\n%+v, then\n%+v", tid, kind, a, b)
			}
		}
	}
	s.end()
	s.undisturbed()
}

// sleep waits until all threads under test are asleep in their calls.
func (s *scene) sleep(kinds map[string][]int) {
	s.eventually("all sleep again", func() bool {
		states := s.states()
		for kind, tids := range kinds {
			for _, tid := range tids {
				if kind != "runtime" && states[tid].State != 'S' {
					return false
				}
			}
		}
		return true
	})
}

// Registers that are written are those that the thread goes on with: here a
// register that nobody uses.
func TestSetRegs(t *testing.T) {
	s := newScene(t, target.Spec{Futex: 1}, attacher.Options{})
	tid := s.kinds()[target.KindFutex][0]
	h := s.arrest(stopper.Request{})
	var was, r attacher.Regs
	must(t, h.Regs(tid, &was))
	r = was
	r.Fs_base, r.Gs_base = 0, 0x1000
	must(t, h.SetRegs(tid, &r))
	s.resume(h)
	h = s.arrest(stopper.Request{})
	must(t, h.Regs(tid, &r))
	if r.Gs_base != 0x1000 {
		t.Errorf("gs is %#x", r.Gs_base)
	}
	r.Gs_base = was.Gs_base
	must(t, h.SetRegs(tid, &r))
	s.resume(h)
	s.end()
}
