package notify

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"massattach/internal/sys"
	"massattach/procfs"
)

// sleepers is the mechanism "ptrace", which works wherever ptrace does. It has
// nothing to send: those who are blocked in a call that would show an interruption
// it leaves asleep, and looks again and again whether they still are; everybody
// else is to be interrupted, who does not notice.
type sleepers struct {
	process *procfs.Process

	mu    sync.Mutex
	armed map[int]*sleeper
	mute  []int // what Look answers
}

// sleeper is an armed thread.
type sleeper struct {
	seen bool   // asleep
	runs uint64 // had been put on a CPU so often then
	told bool   // it is mute
}

func openSleepers(pid int) (Mechanism, error) {
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		return nil, err
	}
	s := &sleepers{process: p, armed: make(map[int]*sleeper)}
	if _, _, err := s.asleep(pid); err != nil && !gone(err) {
		_ = p.Close() // can't fail
		return nil, err
	}
	return s, nil
}

func (*sleepers) Name() string         { return Ptrace }
func (*sleepers) Guarantee() Guarantee { return BestEffort }

func (*sleepers) Add([]int) error { return nil }

func (s *sleepers) Remove(tids []int) { _, _ = s.Disarm(tids) } // can't fail

func (s *sleepers) Arm(tids []int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.armed == nil {
		return os.ErrClosed
	}
	for _, tid := range tids {
		s.armed[tid] = new(sleeper)
	}
	return nil
}

// Look has nobody pending: who runs is mute.
func (s *sleepers) Look() (Look, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = s.mute[:0]
	if s.armed == nil {
		return Look{}, os.ErrClosed
	}
	for tid, t := range s.armed {
		if t.told {
			continue
		}
		asleep, err := s.sleeps(tid, t)
		switch {
		case gone(err):
			t.told = true // that it has ended its tracer hears
		case err != nil:
			return Look{}, err
		case !asleep:
			t.told = true
			s.mute = append(s.mute, tid)
		}
	}
	return Look{Mute: s.mute}, nil
}

// sleeps says whether a thread is blocked in a call that would show an
// interruption, and was ever since it was first found so.
func (s *sleepers) sleeps(tid int, t *sleeper) (bool, error) {
	if t.seen {
		runs, _, err := s.runs(tid)
		return err == nil && runs == t.runs, err
	}
	runs, asleep, err := s.asleep(tid)
	t.seen, t.runs = true, runs
	return asleep, err
}

// asleep looks whether a thread is blocked in such a call: that it is off the CPU
// the kernel says when it answers which call that is, and between two looks at how
// often it was put on one with the same answer it has stayed so.
func (s *sleepers) asleep(tid int) (runs uint64, asleep bool, err error) {
	runs, counted, err := s.runs(tid)
	if err != nil {
		return 0, false, err
	}
	looks := 1
	if !counted {
		looks = 2
	}
	for range looks {
		if in, err := s.inCall(tid); err != nil || !in {
			return runs, false, err
		}
	}
	again, _, err := s.runs(tid)
	return runs, err == nil && runs == again, err
}

// inCall looks whether a thread is off the CPU in such a call. Who has CAP_SYS_PTRACE
// alone may not read which call another user's thread is in: that is taken for one that
// would show it, whatever it waits in.
func (s *sleepers) inCall(tid int) (bool, error) {
	c, err := s.process.Syscall(tid)
	if errors.Is(err, fs.ErrPermission) {
		wchan, err := s.process.Wchan(tid)
		return wchan != "", err
	}
	return err == nil && !c.Running && sys.Shows(c.Nr), err
}

// runs is how often a thread was put on a CPU. Where the kernel does not count that
// it is how often it has left one: that is counted before it is off the CPU, and takes
// a second look at the call in between.
func (s *sleepers) runs(tid int) (n uint64, counted bool, err error) {
	st, err := s.process.Schedstat(tid)
	if err == nil && st.Runs != 0 {
		return st.Runs, true, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, false, err
	}
	status, err := s.process.Status(tid)
	return status.VoluntarySwitches + status.NonvoluntarySwitches, false, err
}

// Disarm has nothing to answer: the mechanism has no signals.
func (s *sleepers) Disarm(tids []int) (reported []int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tid := range tids {
		delete(s.armed, tid)
	}
	return nil, nil
}

func (*sleepers) Merged(int, syscall.Signal) ([]byte, bool) { return nil, false }

func (s *sleepers) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = nil
	return s.process.Close()
}

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
