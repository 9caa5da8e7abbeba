package attachertest_test

import (
	"runtime"
	"syscall"
	"testing"

	"massattach/attacher"
	"massattach/attacher/attachertest"
)

// What the account must not miss.
func TestViolations(t *testing.T) {
	interrupted := func(t *testing.T, m *attachertest.Machine) attacher.Tracer {
		k := bind(t, m)
		must(t, k.Seize(101, 0))
		must(t, k.Interrupt(101))
		return k
	}
	for name, do := range map[string]struct {
		what string
		do   func(*testing.T, *attachertest.Machine)
	}{
		"an interrupt that nobody repairs": {"EINTR", func(t *testing.T, m *attachertest.Machine) {
			must(t, interrupted(t, m).Cont(101, 0))
		}},
		"an ignored signal": {"EINTR", func(t *testing.T, m *attachertest.Machine) {
			k := bind(t, m)
			must(t, k.Seize(101, 0))
			m.Signal(101, syscall.SIGCHLD)
			must(t, k.Cont(101, syscall.SIGCHLD))
		}},
		"a short write": {"early", func(t *testing.T, m *attachertest.Machine) {
			m.Set(101, attachertest.Write)
			must(t, interrupted(t, m).Cont(101, 0))
		}},
		"a signal that is swallowed": {"lost", func(t *testing.T, m *attachertest.Machine) {
			m.Handle(syscall.SIGUSR1, attachertest.Handler)
			k := interrupted(t, m)
			m.Signal(101, syscall.SIGUSR1)
			must(t, k.Restart(101))
			must(t, k.Cont(101, 0))
			must(t, k.Cont(101, 0))
		}},
		"a signal that nobody sent": {"nobody had sent", func(t *testing.T, m *attachertest.Machine) {
			m.Handle(syscall.SIGUSR1, attachertest.Handler)
			k := bind(t, m)
			must(t, k.Seize(101, 0))
			m.Signal(101, syscall.SIGCHLD)
			must(t, k.Cont(101, syscall.SIGUSR1))
		}},
		"a register of the program's own": {"register", func(t *testing.T, m *attachertest.Machine) {
			m.Spin(101)
			must(t, interrupted(t, m).Restart(101))
		}},
		"the kernel's own result": {"-514", func(t *testing.T, m *attachertest.Machine) {
			m.Handle(syscall.SIGUSR1, attachertest.Handler)
			k := bind(t, m)
			must(t, k.Seize(101, 0))
			m.Queue(101, rt, 1)
			m.Signal(101, syscall.SIGUSR1)
			m.Handle(rt, attachertest.Handler)
			must(t, k.Cont(101, syscall.SIGUSR1)) // the second behind its handler
			must(t, k.Restart(101))
			must(t, k.Cont(101, rt))
		}},
		"user code in a stopped process": {"stopped by job control", func(t *testing.T, m *attachertest.Machine) {
			k := bind(t, m)
			must(t, k.Seize(101, 0))
			m.Kill(100, syscall.SIGSTOP)
			must(t, k.Cont(101, 0))
		}},
		"the parent's status": {"taken from its parent", func(t *testing.T, m *attachertest.Machine) {
			m.SetParent(attachertest.Parent{Ours: true})
			k := bind(t, m)
			must(t, k.Seize(100, 0))
			m.ExitGroup(1)
			if _, err := k.Reap(100); err != nil {
				t.Error(err)
			}
			if err := m.ParentWait(); err != syscall.ECHILD {
				t.Error(err)
			}
		}},
		"another tracer's thread": {"which is tracer", func(t *testing.T, m *attachertest.Machine) {
			k := interrupted(t, m)
			other, err := m.Tracer()
			must(t, err)
			if err := other.Cont(101, 0); err != syscall.ESRCH {
				t.Error(err)
			}
			_ = k
		}},
		"a tracer that was left": {"has not ended", func(t *testing.T, m *attachertest.Machine) { bind(t, m) }},
		"a thread that is left traced": {"still traced", func(t *testing.T, m *attachertest.Machine) {
			must(t, bind(t, m).Seize(101, 0))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := attachertest.New(100, 2)
			do.do(t, m)
			complains(t, m.Quiet(), do.what)
		})
	}
}

func TestAnotherThread(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("thread ids")
	}
	m := attachertest.New(100, 2)
	k := bind(t, m)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_ = k.Seize(101, 0)
	}()
	<-done
	complains(t, m.Check(), "another thread")
}
