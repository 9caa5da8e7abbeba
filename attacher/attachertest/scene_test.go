package attachertest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/sys"
)

// A conformance script is a few lines of
//
//	[TRACER:] COMMAND ARGUMENTS [=> WHAT MUST BE SEEN]
//
// that run on the fake and on the real kernel, and see the same on both. What
// a command sees may take the real kernel a while; the fake has to show it at
// once. Without => nothing is seen, or "ok" of a request.
//
// Tracers are A (when none is named) and B, each a thread of its own. Threads
// are named by what they do, see world.

// world is a process to be traced, and its parent, which is blocked in
// waitpid(WUNTRACED|WCONTINUED). Its threads are l, the leader, and of f1, f2
// (both in futex), e1, e2 (epoll_wait), n1 (nanosleep), s1 (spinning), r1
// (futex; it receives floods), c1 (it makes threads that end at once) those
// that a script speaks of; and some that it doesn't, which block all signals.
type world interface {
	kernel() attacher.Kernel
	process() attacher.Process
	thread(name string) int
	patience() time.Duration // how long it may take until something is seen

	handle(sig syscall.Signal, how string)
	signal(tid int, sig syscall.Signal)
	kill(sig syscall.Signal)
	flood(tid, n int) // n queued signals RT with the values 1 to n
	end(tid int)      // the thread exits, as soon as it can
	birth(tid int)    // the thread makes another one that ends at once
	exec(tid int)     // the thread execs, as soon as it can
	exitGroup(code int)
	block(tid int, sig syscall.Signal)
	eintr(tid int) int   // calls that returned EINTR
	early(tid int) int   // calls that returned anything else
	handled(tid int) int // handler runs
	parent() string      // what it has seen, "stopped continued"
}

// runScript runs a script on a world.
func runScript(t *testing.T, w world, script string) {
	s := &scene{t: t, w: w, names: map[string]int{"nobody": 1 << 29}, tracers: map[string]*tracerThread{}, marks: map[int]uint64{}}
	defer s.close()
	n := 0
	for line := range strings.Lines(script) {
		n++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if err := s.line(line); err != nil {
			t.Fatalf("line %d: %s: %v", n, line, err)
		}
	}
}

type scene struct {
	t       *testing.T
	w       world
	names   map[string]int
	tracers map[string]*tracerThread
	marks   map[int]uint64 // voluntary switches at the last look
}

func (s *scene) line(line string) error {
	command, want, seen := strings.Cut(line, "=>")
	want = strings.TrimSpace(want)
	f := strings.Fields(command)
	name := "A"
	if n, ok := strings.CutSuffix(f[0], ":"); ok {
		name, f = n, f[1:]
	}
	if do, ok := s.action(f); ok {
		do()
		return nil
	}
	if !seen {
		want = "ok"
	}
	patience := s.w.patience()
	if f[0] == "begun" {
		patience = time.Minute // for the goroutine
	}
	end := time.Now().Add(patience)
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 5*time.Millisecond) {
		got, err := s.observe(name, f)
		if err != nil {
			return err
		}
		if got == want {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("saw %q", got)
		}
		time.Sleep(wait)
	}
}

// action is a command that nothing is seen of.
func (s *scene) action(f []string) (do func(), ok bool) {
	arg := func(i int) string { return f[i] }
	tid := func() int { return s.tid(arg(1)) }
	switch f[0] {
	case "handle":
		do = func() { s.w.handle(signals[arg(1)], arg(2)) }
	case "signal":
		do = func() { s.w.signal(tid(), signals[arg(2)]) }
	case "kill":
		do = func() { s.w.kill(signals[arg(1)]) }
	case "flood":
		do = func() { n, _ := strconv.Atoi(arg(2)); s.w.flood(tid(), n) }
	case "end":
		do = func() { s.w.end(tid()) }
	case "birth":
		do = func() { s.w.birth(tid()) }
	case "exec":
		do = func() { s.w.exec(tid()) }
	case "block":
		do = func() { s.w.block(tid(), signals[arg(2)]) }
	case "exit_group":
		do = func() { n, _ := strconv.Atoi(arg(1)); s.w.exitGroup(n) }
	case "mark":
		do = func() { st, _ := s.w.process().Status(tid()); s.marks[tid()] = st.VoluntarySwitches }
	}
	return do, do != nil
}

// observe is a command that something is seen of.
func (s *scene) observe(tracer string, f []string) (string, error) {
	arg := ""
	if len(f) > 1 {
		arg = f[1]
	}
	tid := s.tid(arg)
	switch f[0] {
	case "state", "switches", "pending", "tracer":
		return s.status(f[0], tid), nil
	case "eintr":
		return strconv.Itoa(s.w.eintr(tid)), nil
	case "early":
		return strconv.Itoa(s.w.early(tid)), nil
	case "handled":
		return strconv.Itoa(s.w.handled(tid)), nil
	case "begun": // did the request end that the tracer was told to begin?
		for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if s.tracers[arg].begun.Load() {
				return "true", nil
			}
		}
		return "false", nil
	case "parent":
		return s.w.parent(), nil
	}
	var got string
	tr := s.tracer(tracer)
	if f[0] == "ring" {
		return tr.ring(), nil
	}
	if f[0] == "exit" {
		tr.end()
		delete(s.tracers, tracer)
		for !tr.k.Ended() {
			time.Sleep(50 * time.Microsecond)
		}
		return "ok", nil
	}
	if f[0] == "begin" {
		tr.begun.Store(false)
		tr.work <- func() { s.request(tr.k, f[1:], s.tid(f[2])); tr.begun.Store(true) }
		return "ok", nil
	}
	ok := false
	tr.do(func(k attacher.Tracer) { got, ok = s.request(k, f, tid) })
	if !ok {
		return "", errors.New("no such command")
	}
	return got, nil
}

// request makes a request on the tracer's thread.
func (s *scene) request(k attacher.Tracer, f []string, tid int) (string, bool) {
	var sig syscall.Signal
	if len(f) > 2 {
		sig = signals[f[2]]
	}
	switch f[0] {
	case "seize":
		options := 0
		for _, o := range f[2:] {
			options |= map[string]int{"clone": sys.OptionTraceClone, "exec": sys.OptionTraceExec, "exit": sys.OptionTraceExit}[o]
		}
		return outcome(k.Seize(tid, options)), true
	case "interrupt":
		return outcome(k.Interrupt(tid)), true
	case "cont":
		return outcome(k.Cont(tid, sig)), true
	case "listen":
		return outcome(k.Listen(tid)), true
	case "detach":
		return outcome(k.Detach(tid, sig)), true
	case "look":
		ws, err := k.Look(tid, false)
		return s.report(f[1], ws, err), true
	case "reap":
		ws, err := k.Reap(tid)
		return s.report(f[1], ws, err), true
	case "reapstop":
		ws, err := k.ReapStop(tid)
		return s.report(f[1], ws, err), true
	case "restart":
		return outcome(k.Restart(tid)), true
	case "setresult":
		v, _ := strconv.ParseInt(f[2], 10, 64)
		return outcome(k.SetResult(tid, v)), true
	case "result":
		v, err := k.Result(tid)
		return outcome(err, v), true
	case "incall":
		fr, err := k.Frame(tid)
		return outcome(err, fr.Nr >= 0), true
	case "message":
		v, err := k.EventMessage(tid)
		if err == nil && v > 0 && s.name(v) == "" {
			s.names["new"] = v
		}
		return outcome(err, s.name(v)), true
	case "value", "code":
		var si attacher.Siginfo
		err := k.Siginfo(tid, &si)
		if f[0] == "code" {
			return outcome(err, int32(binary.NativeEndian.Uint32(si[8:]))), true
		}
		return outcome(err, binary.NativeEndian.Uint32(si[24:])), true
	}
	return "", false
}

func (s *scene) status(what string, tid int) string {
	st, err := s.w.process().Status(tid)
	if err != nil {
		return "gone"
	}
	switch what {
	case "state":
		return string(rune(st.State))
	case "switches":
		return strconv.FormatUint(st.VoluntarySwitches-s.marks[tid], 10)
	case "tracer":
		for name, tr := range s.tracers {
			if tr.k.ID() == st.TracerPid {
				return name
			}
		}
		return strconv.Itoa(st.TracerPid)
	}
	var names []string
	for set := st.SigPnd | st.ShdPnd; set != 0; set &= set - 1 {
		names = append(names, signalName(syscall.Signal(bits.TrailingZeros64(set)+1)))
	}
	return strings.Join(names, " ")
}

func (s *scene) tid(name string) int {
	if name == "" || name == "any" {
		return 0
	}
	if tid, ok := s.names[name]; ok {
		return tid
	}
	return s.w.thread(name)
}

func (s *scene) name(tid int) string {
	if tid == 0 {
		return ""
	}
	for _, name := range threadNames {
		if s.w.thread(name) == tid {
			return name
		}
	}
	if s.names["new"] == tid {
		return "new"
	}
	return ""
}

// cast are the threads that a script speaks of, the leader first.
func cast(script string) []string {
	names := []string{"l"}
	words := strings.Fields(script)
	for _, name := range threadNames[1:] {
		if slices.Contains(words, name) {
			names = append(names, name)
		}
	}
	return names
}

var threadNames = []string{"l", "f1", "f2", "e1", "e2", "n1", "s1", "r1", "c1"}

func (s *scene) close() {
	for _, tr := range s.tracers {
		tr.end()
	}
}
