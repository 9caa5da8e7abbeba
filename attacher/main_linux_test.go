package attacher_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/procfs"
)

func TestMain(m *testing.M) {
	target.Main()
	toolMain()
	// Under the race detector a process waits a second before it exits;
	// those that the tests start need not.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	threads := taskCount("self")
	code := m.Run()
	if code == 0 {
		if err := leftBehind(threads); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// leftBehind looks for tracees, goroutines and threads that outlived the tests
// and answers nil when there are none.
func leftBehind(threads int) error {
	deadline := time.Now().Add(time.Minute)
	for {
		err := lookBehind(threads)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func lookBehind(threads int) error {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if strings.Contains(string(stacks), "attacher.(*") {
		return fmt.Errorf("a goroutine of the attacher is left behind:\n%s", stacks)
	}
	// Go keeps idle threads, but none for each tracer that there was.
	if n := taskCount("self"); n > threads+40 {
		return fmt.Errorf("%d threads are left of tests that began with %d", n, threads)
	}
	return nil
}

// campaign says whether the full sizes are asked for.
func campaign() bool { return os.Getenv("MASSATTACH_CAMPAIGN") != "" }

// size is small, or full in a campaign.
func size(small, full int) int {
	if campaign() {
		return full
	}
	return small
}

// following are the modes in which threads to come are attached to, too.
var following = []attacher.Follow{attacher.FollowEvent, attacher.FollowScan, attacher.FollowClone}

// start runs a target until the test ends.
func start(t testing.TB, s target.Spec) *target.Target {
	t.Helper()
	p, err := target.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// attach attaches until the test ends.
func attach(t testing.TB, pid int, o *attacher.Options) *attacher.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := attacher.Attach(ctx, pid, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if why := s.Report().FollowMissing; why != "" && slices.Contains(strings.Split(os.Getenv("MASSATTACH_REQUIRE"), ","), "births") {
		t.Fatal(why)
	}
	return s
}

// needEvent skips where births can't be heard of, with what is missing.
func needEvent(t testing.TB, s *attacher.Session) {
	t.Helper()
	if r := s.Report(); r.Follow != attacher.FollowEvent {
		t.Skip(r.FollowMissing)
	}
}

func detach(t testing.TB, s *attacher.Session) attacher.Report {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("detach: %v", err)
	}
	r := s.Report()
	if n := s.ImpossibleMoves(); n != 0 {
		t.Errorf("%d impossible moves of a thread's phase", n)
	}
	if !r.Detach.Confirmed {
		t.Error("the detach was not confirmed")
	}
	return r
}

func account(t testing.TB, p *target.Target) target.Account {
	t.Helper()
	a, err := p.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// undisturbed checks the target's own account.
func undisturbed(t testing.TB, p *target.Target) {
	t.Helper()
	a := account(t, p)
	if a.EINTR != 0 || a.Early != 0 {
		t.Errorf("the target saw %d EINTR and %d early returns: %+v", a.EINTR, a.Early, a.Kinds)
	}
}

// look is what /proc says of all threads of a process.
type look struct {
	threads int
	states  map[byte]int
	tracers map[int]int // threads by TracerPid
	tids    []int
	loose   []int // without a tracer
}

func (l look) traced() int { return l.threads - l.tracers[0] }

func lookAt(t testing.TB, pid int) look {
	t.Helper()
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	tids, err := p.AppendTIDs(nil)
	if err != nil {
		t.Fatal(err)
	}
	l := look{states: make(map[byte]int), tracers: make(map[int]int), tids: tids}
	for _, tid := range tids {
		st, err := p.Status(tid)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		l.threads++
		l.states[st.State]++
		l.tracers[st.TracerPid]++
		if st.TracerPid == 0 {
			l.loose = append(l.loose, tid)
		}
	}
	return l
}

// looseOf are those of old that have no tracer. On a busy machine Go's runtime may
// have started a thread since, which nobody traces yet.
func (l look) looseOf(old []int) []int {
	return slices.DeleteFunc(l.loose, func(tid int) bool { return !slices.Contains(old, tid) })
}

// free checks that nobody is traced or stopped.
func free(t testing.TB, pid int) {
	t.Helper()
	l := lookAt(t, pid)
	if n := l.traced(); n != 0 {
		t.Errorf("%d threads of %d are still traced", n, l.threads)
	}
	if n := l.states['t'] + l.states['T']; n != 0 {
		t.Errorf("%d threads of %d are stopped", n, l.threads)
	}
}

// eventually waits for a condition that must come to hold.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// atRest waits until all threads of some kinds sleep in their calls, with no
// signal on its way to them: whoever is stopped or let go in the middle of one
// can't be mended any more.
func atRest(t testing.TB, p *target.Target, kinds ...string) {
	t.Helper()
	all, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	proc, err := procfs.FS{}.Open(p.PID())
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	for _, kind := range kinds {
		for _, tid := range all[kind] {
			eventually(t, "thread "+itoa(tid)+" sleeps again", func() bool {
				st, err := proc.Status(tid)
				return err == nil && st.State == 'S' && st.SigPnd|st.ShdPnd == 0
			})
		}
	}
}

func taskCount(pid string) int {
	entries, err := os.ReadDir("/proc/" + pid + "/task")
	if err != nil {
		return 0
	}
	return len(entries)
}

func itoa(n int) string { return strconv.Itoa(n) }
