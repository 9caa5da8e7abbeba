package attachertest_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
)

// fakeWorld is a world on the simulated machine.
type fakeWorld struct {
	m     *attachertest.Machine
	p     attacher.Process
	names []string
}

func newFakeWorld(t *testing.T, names []string) world {
	const runtimeThreads = 3 // as the real target has
	m := attachertest.New(100, len(names)+runtimeThreads)
	for i, tid := range m.Threads() {
		call := attachertest.Futex
		if i < len(names) {
			switch names[i][0] {
			case 'e':
				call = attachertest.EpollWait
			case 'n':
				call = attachertest.Nanosleep
			case 's':
				m.Spin(tid)
				continue
			}
		} else {
			for sig := syscall.Signal(1); sig <= 64; sig++ {
				m.Block(tid, sig)
			}
		}
		m.Set(tid, call)
	}
	p, err := m.Open(100)
	if err != nil {
		t.Fatal(err)
	}
	return &fakeWorld{m, p, names}
}

func (w *fakeWorld) kernel() attacher.Kernel   { return w.m }
func (w *fakeWorld) process() attacher.Process { return w.p }
func (w *fakeWorld) patience() time.Duration   { return 0 }

func (w *fakeWorld) thread(name string) int {
	for i, n := range w.names {
		if n == name {
			return 100 + i
		}
	}
	return -1
}

func (w *fakeWorld) handle(sig syscall.Signal, how string) {
	w.m.Handle(sig, map[string]attachertest.Disposition{
		"default": attachertest.Default, "ignore": attachertest.Ignore,
		"handler": attachertest.Handler, "restart": attachertest.HandlerRestart,
	}[how])
}

func (w *fakeWorld) signal(tid int, sig syscall.Signal) { w.m.Signal(tid, sig) }
func (w *fakeWorld) kill(sig syscall.Signal)            { w.m.Kill(100, sig) }
func (w *fakeWorld) end(tid int)                        { w.m.Exit(tid, 0) }
func (w *fakeWorld) exitGroup(code int)                 { w.m.ExitGroup(code) }
func (w *fakeWorld) exec(tid int)                       { w.m.Exec(tid) }
func (w *fakeWorld) block(tid int, sig syscall.Signal)  { w.m.Block(tid, sig) }
func (w *fakeWorld) parent() string                     { return strings.Join(w.m.Account().Parent, ", ") }

func (w *fakeWorld) flood(tid, n int) {
	w.m.Handle(rt, attachertest.Handler)
	for i := range n {
		w.m.Queue(tid, rt, uint64(i+1))
	}
}

func (w *fakeWorld) birth(tid int) { w.m.Exit(w.m.Spawn(tid), 0) }

func (w *fakeWorld) eintr(tid int) int { return w.m.Results(tid)[-int64(syscall.EINTR)] }

func (w *fakeWorld) early(tid int) (n int) {
	for v, times := range w.m.Results(tid) {
		if v != -int64(syscall.EINTR) {
			n += times
		}
	}
	return n
}

func (w *fakeWorld) handled(tid int) (n int) {
	for _, d := range w.m.Account().Handled {
		if d.TID == tid {
			n++
		}
	}
	return n
}
