package stopper_test

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/stopper"
)

// A thread that is held in the kernel is looked at where it is: its registers say
// which call it is in, and its memory can be read; neither can be written to. What is
// seen then is what is seen when it has stopped.
func TestLookIntoTheKernel(t *testing.T) {
	needNotify(t)
	s := newScene(t, target.Spec{Epoll: 20, Futex: 20}, attacher.Options{})
	tid := s.kinds()[target.KindEpoll][3]
	h := s.arrest(stopper.Request{Style: stopper.Notify})
	if !slices.Contains(h.InKernel(), tid) {
		t.Fatalf("thread %d is not in the kernel", tid)
	}
	var asleep, stopped attacher.Regs
	must(t, h.Regs(tid, &asleep))
	if asleep.Orig_rax != unix.SYS_EPOLL_WAIT || asleep.Rip == 0 || asleep.Rsp == 0 {
		t.Errorf("registers %+v", asleep)
	}
	var there, then [16]byte
	must(t, h.ReadAt(tid, there[:], asleep.Rsp))
	if err := h.SetRegs(tid, &asleep); !errors.Is(err, stopper.ErrInKernel) {
		t.Errorf("set registers: %v", err)
	}
	if err := h.WriteAt(tid, there[:], asleep.Rsp); !errors.Is(err, stopper.ErrInKernel) {
		t.Errorf("write memory: %v", err)
	}
	both := s.arrest(stopper.Request{})
	must(t, h.Regs(tid, &stopped))
	must(t, h.ReadAt(tid, then[:], stopped.Rsp))
	if stopped.Rip != asleep.Rip || stopped.Rsp != asleep.Rsp || stopped.Rdi != asleep.Rdi || stopped.R10 != asleep.R10 || there != then {
		t.Errorf("asleep %+v %x, stopped %+v %x", asleep, there, stopped, then)
	}
	s.resume(both)
	s.resume(h)
	if err := h.Regs(tid, &asleep); !errors.Is(err, stopper.ErrReleased) {
		t.Errorf("after the resume: %v", err)
	}
	s.end()
	s.undisturbed()
}
