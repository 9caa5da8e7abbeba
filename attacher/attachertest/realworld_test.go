//go:build linux && (amd64 || arm64)

package attachertest_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/sys"
	"massattach/internal/target"
)

func TestMain(m *testing.M) {
	target.Main()
	// Under the race detector a process waits a second before it exits; the
	// targets, which inherit this, need not.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// realWorld is a world of a process on the kernel that the test runs on.
type realWorld struct {
	t       *testing.T
	target  *target.Target
	p       attacher.Process
	names   map[string]int
	ctx     context.Context
	pending sync.WaitGroup // commands that a tracer holds up
}

func newRealWorld(t *testing.T, names []string) *realWorld {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	spec := target.Spec{Parent: target.ParentWatch}
	kinds := map[byte]string{'l': target.KindLeader, 'f': target.KindFutex, 'e': target.KindEpoll,
		'n': target.KindSleep, 's': target.KindSpin, 'r': target.KindRecv, 'c': target.KindChurn}
	for _, name := range names {
		switch name[0] {
		case 'f':
			spec.Futex++
		case 'e':
			spec.Epoll++
		case 'n':
			spec.Sleep++
		case 's':
			spec.Spin++
		case 'r':
			spec.Recv++
		case 'c':
			spec.Churn++
		}
	}
	tg, err := target.Start(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	w := &realWorld{t: t, target: tg, ctx: ctx, names: map[string]int{}}
	t.Cleanup(func() {
		_ = syscall.Kill(tg.PID(), syscall.SIGCONT)
		_, _ = tg.Close()
		cancel()
		w.pending.Wait()
	})
	byKind, err := tg.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		k := kinds[name[0]]
		if len(byKind[k]) == 0 {
			t.Fatalf("no thread for %s", name)
		}
		w.names[name] = byKind[k][0]
		byKind[k] = byKind[k][1:]
	}
	if w.p, err = (attacher.ProcFS{}).Open(tg.PID()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.p.Close() })
	return w
}

func (w *realWorld) kernel() attacher.Kernel   { return attacher.Linux }
func (w *realWorld) process() attacher.Process { return w.p }
func (w *realWorld) patience() time.Duration   { return 2 * time.Minute } // only who hangs takes longer

func (w *realWorld) thread(name string) int {
	if tid, ok := w.names[name]; ok {
		return tid
	}
	return -1
}

func (w *realWorld) must(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatal(err)
	}
}

// later has the target do what may take until a tracer has acted.
func (w *realWorld) later(do func() error) {
	w.pending.Go(func() { _ = do() })
}

func (w *realWorld) handle(sig syscall.Signal, how string) {
	d := map[string]target.Disposition{"default": target.SigDefault, "ignore": target.SigIgnore,
		"handler": target.SigHandle, "restart": target.SigHandleRestart}[how]
	w.must(w.target.SetDisposition(w.ctx, int(sig), d))
}

func (w *realWorld) signal(tid int, sig syscall.Signal) {
	w.must(syscall.Tgkill(w.target.PID(), tid, sig))
}

func (w *realWorld) kill(sig syscall.Signal) { w.must(syscall.Kill(w.target.PID(), sig)) }

func (w *realWorld) flood(tid, n int) {
	w.must(w.target.StartFlood(w.ctx, target.Flood{Slots: 1, Count: n}))
}

func (w *realWorld) end(tid int) {
	w.later(func() error { return w.target.End(w.ctx, tid) })
}

func (w *realWorld) birth(int) {} // it does nothing else

func (w *realWorld) exitGroup(code int) {
	w.later(func() error { return w.target.Exit(w.ctx, code) })
}

func (w *realWorld) exec(tid int) {
	w.later(func() error { return w.target.Exec(w.ctx, target.Exec{TID: tid}) })
}

func (w *realWorld) block(tid int, sig syscall.Signal) {
	w.must(w.target.Mask(w.ctx, tid, "", []int{int(sig)}, nil))
}

func (w *realWorld) account(tid int) target.ThreadAccount {
	a, err := w.target.Thread(w.ctx, tid)
	w.must(err)
	return a
}

func (w *realWorld) eintr(tid int) int   { return int(w.account(tid).EINTR) }
func (w *realWorld) early(tid int) int   { return int(w.account(tid).Early) }
func (w *realWorld) handled(tid int) int { return int(w.account(tid).Handled) }

func (w *realWorld) parent() string {
	a, err := w.target.ParentEvents(w.ctx)
	w.must(err)
	var seen []string
	for _, e := range a.Events {
		switch e.Event {
		case "exited", "killed":
			seen = append(seen, fmt.Sprintf("%s %d", e.Event, e.Status))
		default:
			seen = append(seen, e.Event)
		}
	}
	return strings.Join(seen, ", ")
}

// registers are the commands that see, or change, an interrupted call as the
// fake and amd64 have it.
var registers = regexp.MustCompile(`(?m)^\s*(result|setresult|restart|incall) `)

func TestConformanceLinux(t *testing.T) {
	for _, s := range scripts {
		t.Run(s.rule, func(t *testing.T) {
			if !sys.CanRestart && registers.MatchString(s.text) {
				t.Skip("it reads amd64's registers")
			}
			runScript(t, newRealWorld(t, cast(s.text)), s.text)
		})
	}
}
