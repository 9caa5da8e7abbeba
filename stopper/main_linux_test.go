package stopper_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/bpf"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/stopper"
	"massattach/stopper/notify"
)

func TestMain(m *testing.M) {
	target.Main()
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	code := m.Run()
	if code == 0 {
		if err := leftBehind(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// leftBehind looks for goroutines that outlived the tests.
func leftBehind() error {
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !strings.Contains(string(stacks), "attacher.(*") && !strings.Contains(string(stacks), "stopper.(*") {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("a goroutine is left behind:\n%s", stacks)
		}
	}
}

// size is small, or full in a campaign.
func size(small, full int) int {
	if os.Getenv("MASSATTACH_CAMPAIGN") != "" {
		return full
	}
	return small
}

const sigUSR1, sigUSR2 = int(syscall.SIGUSR1), int(syscall.SIGUSR2)

// needRepair skips where interrupted calls can't be mended.
func needRepair(t *testing.T) {
	t.Helper()
	if !attacher.CanRepair {
		t.Skip("interrupted calls are not repaired on this architecture")
	}
}

// scene is a target that is attached to, and its stopper.
type scene struct {
	t       *testing.T
	target  *target.Target
	session *attacher.Session
	stopper *stopper.Stopper
	follow  attacher.Follow
	wrong   atomic.Int64 // moves that no thread can make
}

func newScene(t *testing.T, spec target.Spec, o attacher.Options) *scene {
	t.Helper()
	p, err := target.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	s := &scene{t: t, target: p, follow: o.Follow}
	o.Trace = &attacher.Trace{Mistaken: func(err error) {
		s.wrong.Add(1)
		t.Error(err)
	}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if s.session, err = attacher.Attach(ctx, p.PID(), &o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.session.Close() })
	if s.stopper, err = stopper.New(s.session, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

// inStyles runs a test in each style of arrest.
func inStyles(t *testing.T, f func(*testing.T, stopper.Style)) {
	for _, style := range []stopper.Style{stopper.Interrupt, stopper.Notify} {
		t.Run(style.String(), func(t *testing.T) {
			if style == stopper.Notify {
				needNotify(t)
			}
			f(t, style)
		})
	}
}

// needNotify skips where notify style has no strict mechanism.
func needNotify(t *testing.T) {
	t.Helper()
	if err := bpf.NotifySupported(); err != nil {
		if mustHave(notify.TaskWork) {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// areHeld fails unless everybody is held, in a stop or in the kernel. In notify style
// a call that was under way in the kernel may give birth to somebody, who is stopped
// as soon as he is found, and counted, or has ended before.
func (s *scene) areHeld(h *stopper.Held) {
	s.t.Helper()
	inKernel := h.InKernel() // who stops meanwhile is in both
	held := h.TIDs()
	for tid, st := range s.states() {
		switch {
		case st.State == 't' && slices.Contains(held, tid), st.State == 'Z', st.State == 'X':
		case slices.Contains(inKernel, tid):
		case st.State == 't' && slices.Contains(h.TIDs(), tid): // it was born a tracee
		case h.Report().Style == stopper.Notify:
			late := false
			s.eventually(fmt.Sprintf("thread %d, in state %c and traced by %d, is stopped", tid, st.State, st.TracerPid), func() bool {
				late = slices.Contains(h.TIDs(), tid)
				return late || !s.has(tid)
			})
			if s.follow == attacher.FollowClone && st.TracerPid != 0 {
				continue // it was born a tracee, and on its way to the stop that it begins with
			}
			if r := h.Report(); late && (r.LateBirths == 0 || r.Guarantee != notify.BestEffort) {
				s.t.Errorf("thread %d was born late, which the report does not say: %+v", tid, r)
			}
		default:
			s.t.Fatalf("thread %d is in state %c, traced by %d; %d have stopped and %d are in the kernel",
				tid, st.State, st.TracerPid, len(held), len(inKernel))
		}
	}
}

// arrest arrests, which must succeed.
func (s *scene) arrest(r stopper.Request) *stopper.Held {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	s.t.Cleanup(cancel)
	h, err := s.stopper.Arrest(ctx, r)
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

func (s *scene) resume(h *stopper.Held) {
	s.t.Helper()
	if err := h.Resume(); err != nil {
		s.t.Fatal(err)
	}
}

// end detaches, and looks at what is left.
func (s *scene) end() attacher.Report {
	s.t.Helper()
	if err := s.session.Close(); err != nil {
		s.t.Fatalf("detach: %v", err)
	}
	s.free()
	return s.session.Report()
}

func (s *scene) account() target.Account {
	s.t.Helper()
	a, err := s.target.Account(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// undisturbed checks the target's own account.
func (s *scene) undisturbed() {
	s.t.Helper()
	if a := s.account(); a.EINTR != 0 || a.Early != 0 {
		s.t.Errorf("the target saw %d EINTR and %d early returns: %+v", a.EINTR, a.Early, a.Kinds)
	}
}

func (s *scene) kinds() map[string][]int {
	s.t.Helper()
	kinds, err := s.target.List(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return kinds
}

// states is what /proc says of the threads of the target.
func (s *scene) states() map[int]procfs.Status {
	s.t.Helper()
	p, err := procfs.FS{}.Open(s.target.PID())
	if err != nil {
		s.t.Fatal(err)
	}
	defer p.Close()
	tids, err := p.AppendTIDs(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	all := make(map[int]procfs.Status)
	for _, tid := range tids {
		st, err := p.Status(tid)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		all[tid] = st
	}
	return all
}

// has says whether the target has a thread.
func (s *scene) has(tid int) bool {
	_, ok := s.states()[tid]
	return ok
}

// inStop is how many threads there are, and how many of them are in a
// ptrace-stop.
func (s *scene) inStop() (all, stopped int) {
	s.t.Helper()
	for _, st := range s.states() {
		all++
		if st.State == 't' {
			stopped++
		}
	}
	return all, stopped
}

// free checks that nobody is traced or stopped.
func (s *scene) free() {
	s.t.Helper()
	for tid, st := range s.states() {
		if st.TracerPid != 0 || st.State == 't' || st.State == 'T' {
			s.t.Errorf("thread %d is in state %c, traced by %d", tid, st.State, st.TracerPid)
		}
	}
}

func (s *scene) kill(sig syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.target.PID(), sig); err != nil {
		s.t.Fatal(err)
	}
}

// eventually waits for a condition that must come to hold.
func (s *scene) eventually(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("never: %s", what)
		}
	}
}

// runs waits until nobody is in a stop.
func (s *scene) runs() {
	s.t.Helper()
	s.eventually("all run", func() bool {
		for _, st := range s.states() {
			if st.State == 't' || st.State == 'T' {
				return false
			}
		}
		return true
	})
}

// mustHave says whether a feature of the kernel must be there: MASSATTACH_REQUIRE
// names it.
func mustHave(feature string) bool {
	return slices.Contains(strings.Split(os.Getenv("MASSATTACH_REQUIRE"), ","), feature)
}

const errFault = syscall.EFAULT
