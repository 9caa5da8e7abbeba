//go:build linux && (amd64 || arm64)

package notify_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/bpf"
	"massattach/internal/sys"
	"massattach/internal/target"
	"massattach/stopper/notify"
)

// inside names what a process of the tests does that has been started in some
// surroundings: see surrounded.
const inside = "MASSATTACH_NOTIFY_TEST"

func TestMain(m *testing.M) {
	target.Main()
	if what := os.Getenv(inside); what != "" {
		if err := surrounded[what](); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// command is another process of this program that does one of surrounded, with a
// prefix to its command line.
func command(t *testing.T, what string, prefix ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	line := append(prefix, exe)
	cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
	cmd.Env = append(os.Environ(), inside+"="+what)
	return cmd
}

// needTaskWork skips the test where the mechanism does not work, unless it must.
func needTaskWork(t testing.TB) {
	t.Helper()
	if err := bpf.NotifySupported(); err != nil {
		if slices.Contains(strings.Split(os.Getenv("MASSATTACH_REQUIRE"), ","), notify.TaskWork) {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
}

func start(t testing.TB, s target.Spec) *target.Target {
	t.Helper()
	p, err := target.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func open(t testing.TB, pid int, want string) notify.Mechanism {
	t.Helper()
	m, err := notify.Open(pid, want)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// under are the threads of the target that are under test, of some kinds, or of all:
// the others are those by which it answers.
func under(t testing.TB, p *target.Target, kinds ...string) (tids []int) {
	t.Helper()
	list, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for kind, of := range list {
		if kind != "runtime" && (len(kinds) == 0 || slices.Contains(kinds, kind)) {
			tids = append(tids, of...)
		}
	}
	return tids
}

func account(t testing.TB, p *target.Target) target.Account {
	t.Helper()
	a, err := p.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wake lets every thread that is blocked in semop return once, from outside. Who has
// come back to user mode counts it as early.
func wake(t testing.TB, sets []int) {
	t.Helper()
	const setVal, setSize = 16, 250
	for _, id := range sets {
		for i := range uintptr(setSize) {
			if _, _, errno := unix.Syscall6(unix.SYS_SEMCTL, uintptr(id), i, setVal, 1, 0, 0); errno != 0 {
				t.Fatal(errno)
			}
		}
	}
}

// asleep waits until all of some threads that do nothing but wait are back at that.
func asleep(t testing.TB, p *target.Target, tids []int) {
	t.Helper()
	for _, tid := range tids {
		eventually(t, "it sleeps", func() bool { return status(t, p, tid, "State")[0] == 'S' })
	}
}

// eventually waits until it is true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so: %s", what)
		}
	}
}

// tracer is a bare tracer thread. It collects stops, and lets a thread run on at
// once unless it is to be held: those of ours are reaped, a signal of the target's
// own is delivered at once, and the thread interrupted before.
type tracer struct {
	t    testing.TB
	m    notify.Mechanism
	work chan func()
	over chan struct{}

	holding bool
	held    map[int]syscall.Signal  // by which of ours, or 0: interrupted
	event   func(ws sys.WaitStatus) // what else there is, before it is continued
	came    map[int]bool            // whose signal of ours has, since it was armed
	ours    map[syscall.Signal]int
	own     int
	gone    map[int]bool
}

// trace seizes tids.
func trace(t testing.TB, m notify.Mechanism, tids []int, options int) *tracer {
	t.Helper()
	r := &tracer{t: t, m: m, work: make(chan func()), over: make(chan struct{}),
		held: make(map[int]syscall.Signal), came: make(map[int]bool), ours: make(map[syscall.Signal]int), gone: make(map[int]bool)}
	go r.run(nil)
	t.Cleanup(r.end)
	var err error
	r.do(func() {
		for _, tid := range tids {
			if e := sys.Seize(tid, options); e != nil {
				err = fmt.Errorf("seize %d: %w", tid, e)
			}
		}
	})
	if err == nil {
		err = m.Add(tids)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run is the tracer thread: never the main one, which Go does not end, nor one that
// has children.
func (r *tracer) run(moved chan<- struct{}) {
	runtime.LockOSThread() // and never unlocked: it ends, and lets them go
	if moved != nil {
		defer close(moved)
	}
	if sys.Gettid() == os.Getpid() || sys.HasChildren() {
		next := make(chan struct{})
		go r.run(next)
		<-next
		runtime.UnlockOSThread()
		return
	}
	defer close(r.over)
	for f := range r.work {
		f()
	}
}

func (r *tracer) do(f func()) {
	done := make(chan struct{})
	r.work <- func() { defer close(done); f() }
	<-done
}

// end lets all go that are not stopped.
func (r *tracer) end() {
	if r.work == nil {
		return
	}
	close(r.work)
	<-r.over
	r.work = nil
}

// collect takes what there is.
func (r *tracer) collect() {
	r.do(func() {
		for {
			ws, err := sys.Reap(0)
			if err != nil || ws.TID == 0 {
				return
			}
			r.take(ws)
		}
	})
}

func (r *tracer) take(ws sys.WaitStatus) {
	if ws.Code != sys.CodeTrapped && ws.Code != sys.CodeStopped {
		r.gone[ws.TID] = true
		return
	}
	sig, event := syscall.Signal(ws.Status&0x7f), ws.Status>>8
	if event == 0 {
		var si sys.Siginfo
		if err := sys.GetSiginfo(ws.TID, &si); err != nil {
			return // it was killed
		}
		switch {
		case si.Ours():
			r.ours[sig]++
			r.came[ws.TID] = true
			if r.holding {
				r.held[ws.TID] = sig
				return
			}
			r.resume(ws.TID, sig)
			return
		case r.holding:
			_ = sys.Interrupt(ws.TID)
		}
		r.own++
		_ = sys.Cont(ws.TID, sig)
		return
	}
	if r.event != nil {
		r.event(ws)
	}
	switch {
	case event == sys.EventStop && sig != unix.SIGTRAP:
		_ = sys.Listen(ws.TID)
	case event == sys.EventStop && r.holding:
		r.held[ws.TID] = 0
	default:
		_ = sys.Cont(ws.TID, 0)
	}
}

// resume lets one run on that was stopped by ours, or interrupted.
func (r *tracer) resume(tid int, sig syscall.Signal) {
	deliver := syscall.Signal(0)
	if sig != 0 {
		if info, merged := r.m.Merged(tid, sig); merged {
			var si sys.Siginfo
			copy(si[:], info)
			_ = sys.SetSiginfo(tid, &si)
			deliver = sig
		}
	}
	_ = sys.Cont(tid, deliver)
}

// arm arms and confirms.
func (r *tracer) arm(tids []int) {
	r.t.Helper()
	r.do(func() { r.holding = true; clear(r.came) })
	if err := r.m.Arm(tids); err != nil {
		r.t.Fatal(err)
	}
	r.confirm()
}

// confirm looks until nobody may run, and has who is mute interrupted.
func (r *tracer) confirm() {
	r.t.Helper()
	eventually(r.t, "nobody runs", func() bool {
		look, err := r.m.Look()
		if err != nil {
			r.t.Fatal(err)
		}
		r.interrupt(look.Mute)
		return len(look.Pending) == 0
	})
	r.collect()
}

func (r *tracer) interrupt(tids []int) {
	r.do(func() {
		for _, tid := range tids {
			_ = sys.Interrupt(tid)
		}
	})
}

// stopped waits until n threads are held.
func (r *tracer) stopped(n int) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%d threads are held", n), func() bool { r.collect(); return len(r.held) >= n })
	if len(r.held) != n {
		r.t.Fatalf("%d are held, not %d", len(r.held), n)
	}
}

// release disarms, collects the stops that are still to come, and lets all go on.
func (r *tracer) release(tids []int) (reported []int) {
	r.t.Helper()
	reported, err := r.m.Disarm(tids)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, tid := range reported {
		eventually(r.t, fmt.Sprintf("thread %d, which has reported, stops", tid), func() bool {
			r.collect()
			_, held := r.held[tid] // perhaps with ours behind
			return r.came[tid] || r.gone[tid] || held
		})
	}
	r.do(func() {
		r.holding = false
		for tid, sig := range r.held {
			r.resume(tid, sig)
		}
		clear(r.held)
	})
	return reported
}

// tgkill sends a signal to one thread.
func tgkill(t testing.TB, p *target.Target, tid int, sig syscall.Signal) {
	t.Helper()
	if err := unix.Tgkill(p.PID(), tid, sig); err != nil {
		t.Fatal(err)
	}
}

// status reads a line of /proc/PID/task/TID/status.
func status(t testing.TB, p *target.Target, tid int, key string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", p.PID(), tid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n"+key+":\t")
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

// code and sender are fields of a siginfo_t.
func code(si []byte) int32   { return int32(binary.NativeEndian.Uint32(si[8:])) }
func sender(si []byte) int32 { return int32(binary.NativeEndian.Uint32(si[16:])) }

// size is small, or full in a campaign.
func size(small, full int) int {
	if os.Getenv("MASSATTACH_CAMPAIGN") != "" {
		return full
	}
	return small
}
