package attachertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"massattach/attacher"
)

// What a tracer reads and writes of a stopped tracee.

// EventMessage is PTRACE_GETEVENTMSG.
func (tr *tracer) EventMessage(tid int) (int, error) {
	t, err := tr.request("message", tid, false)
	if err != nil {
		return 0, err
	}
	defer tr.m.unlock()
	return t.stop.message, nil
}

// Siginfo is PTRACE_GETSIGINFO: also an event-stop has one.
func (tr *tracer) Siginfo(tid int, si *attacher.Siginfo) error {
	t, err := tr.request("siginfo", tid, false)
	if err != nil {
		return err
	}
	defer tr.m.unlock()
	if t.stop.kind == stopSignal {
		*si = t.stop.signal.info
	} else {
		*si = t.stop.info
	}
	return nil
}

func (tr *tracer) SetSiginfo(tid int, si *attacher.Siginfo) error {
	t, err := tr.request("setsiginfo", tid, false)
	if err != nil {
		return err
	}
	defer tr.m.unlock()
	if t.stop.kind == stopSignal {
		t.stop.signal.info = *si
	} else {
		t.stop.info = *si
	}
	return nil
}

func (tr *tracer) Regs(tid int, r *attacher.Regs) error {
	t, err := tr.request("regs", tid, false)
	if err != nil {
		return err
	}
	defer tr.m.unlock()
	*r = regsOf(t.regs)
	return nil
}

func (tr *tracer) SetRegs(tid int, r *attacher.Regs) error {
	t, err := tr.request("setregs", tid, false)
	if err != nil {
		return err
	}
	defer tr.m.unlock()
	t.regs = frameOf(r)
	return nil
}

func (tr *tracer) Result(tid int) (int64, error) {
	t, err := tr.request("result", tid, false)
	if err != nil {
		return 0, err
	}
	defer tr.m.unlock()
	return t.regs.Result, nil
}

func (tr *tracer) SetResult(tid int, v int64) error { return tr.setResult("setresult", tid, v) }

// Restart writes what makes the call begin anew, as on amd64: on every
// architecture that the tests run on.
func (tr *tracer) Restart(tid int) error { return tr.setResult("restart", tid, RestartNoHand) }

func (tr *tracer) setResult(op string, tid int, v int64) error {
	t, err := tr.request(op, tid, false)
	if err != nil {
		return err
	}
	defer tr.m.unlock()
	// Nobody will see the registers of a thread that was killed meanwhile.
	if t.regs.Result != v && t.stop.event != eventExit && (t.regs.Nr < 0 || !t.fromCall || t.handler != nil) {
		tr.m.account.broken(t, "a register was changed that is not a call's result")
	}
	if t.regs.Result == eintr && v != eintr && t.byJobControl() {
		tr.m.account.Mended++
	}
	t.regs.Result = v
	return nil
}

// byJobControl says whether the call would have failed untraced, too: the thread
// is in a group-stop, or about to be.
func (t *task) byJobControl() bool {
	s := t.stop
	return s.group || s.kind == stopSignal && stops(s.signal.no) && t.g.action[s.signal.no] == Default
}

func (tr *tracer) Frame(tid int) (attacher.Frame, error) {
	t, err := tr.request("frame", tid, false)
	if err != nil {
		return attacher.Frame{Nr: -1}, err
	}
	defer tr.m.unlock()
	return t.regs, nil
}

// segment is a piece of the first process's memory.
type segment struct {
	addr uint64
	data []byte
}

// ReadMemory reads what Poke has written; EFAULT elsewhere.
func (tr *tracer) ReadMemory(tid int, addr uint64, buf []byte) error {
	return tr.access("memory", tid, addr, len(buf), func(data []byte) { copy(buf, data) })
}

// WriteMemory changes what Poke has written; EFAULT elsewhere.
func (tr *tracer) WriteMemory(tid int, addr uint64, buf []byte) error {
	return tr.access("write", tid, addr, len(buf), func(data []byte) { copy(data, buf) })
}

// access has f called with n bytes of what Poke has written last there.
func (tr *tracer) access(op string, tid int, addr uint64, n int, f func([]byte)) error {
	if err := tr.begin(op, tid); err != nil {
		return err
	}
	defer tr.m.unlock()
	if tr.m.tasks[tid] == nil {
		return syscall.ESRCH
	}
	for _, s := range tr.m.memory {
		if addr >= s.addr && addr-s.addr+uint64(n) <= uint64(len(s.data)) {
			f(s.data[addr-s.addr:][:n])
			return nil
		}
	}
	return syscall.EFAULT
}

// Poke puts data at addr in the target's memory.
func (m *Machine) Poke(addr uint64, data []byte) {
	defer m.lock()()
	m.memory = append([]segment{{addr, slices.Clone(data)}}, m.memory...)
}

// SetSocketTimeout makes fd a socket with these time-outs; 0 is none.
func (m *Machine) SetSocketTimeout(fd int, receive, send time.Duration) {
	defer m.lock()()
	m.sockets[fd] = &[2]int64{int64(receive), int64(send)}
}

// TraceBy has a tool of another's seize the thread tid, and answers the id of
// that tracer, 0 when it can't.
func (m *Machine) TraceBy(tid int, tool string) int {
	defer m.lock()()
	t := m.tasks[tid]
	if t == nil || t.tracer != nil || t.where >= zombie {
		return 0
	}
	tr := m.newTracer(0, tool)
	t.link(tr, 0)
	t.setStopped()
	return tr.id
}

// EndTool ends a tracer of [Machine.TraceBy].
func (m *Machine) EndTool(id int) {
	defer m.lock()()
	if tr := m.tracers[id]; tr != nil && tr.foreign != "" {
		tr.end()
	}
}

// State is the letter that /proc shows for the thread tid: R, S, D, T
// (stopped), t (in a ptrace-stop), Z; 0 when it is gone.
func (m *Machine) State(tid int) byte {
	defer m.lock()()
	if t := m.tasks[tid]; t != nil {
		return t.state()
	}
	return 0
}

// TracerOf is the id of the tracer of the thread tid, 0 for none.
func (m *Machine) TracerOf(tid int) int {
	defer m.lock()()
	return m.tasks[tid].tracerID()
}

func (t *task) tracerID() int {
	if t == nil || t.tracer == nil {
		return 0
	}
	return t.tracer.id
}

// Threads lists the threads of the first process, zombies among them.
func (m *Machine) Threads() []int {
	defer m.lock()()
	var tids []int
	if g := m.groups[m.pid]; g != nil {
		for _, t := range g.threads {
			tids = append(tids, t.tid)
		}
	}
	return tids
}

// Tracers lists the tracers that have not ended, foreign ones not among them,
// and how many tracees each has.
func (m *Machine) Tracers() map[int]int {
	defer m.lock()()
	counts := make(map[int]int)
	for id, tr := range m.tracers {
		if !tr.ended && tr.foreign == "" {
			counts[id] = len(tr.tracees)
		}
	}
	return counts
}

// String says what all tracers and threads do, a line each, for a test that
// fails.
func (m *Machine) String() string {
	defer m.lock()()
	var b strings.Builder
	for _, id := range sorted(m.tracers) {
		if tr := m.tracers[id]; !tr.ended {
			fmt.Fprintf(&b, "tracer %d%s: %d tracees, sleeps %t\n", id, tr.foreign, len(tr.tracees), tr.asleep != nil)
		}
	}
	for _, tid := range sorted(m.tasks) {
		t := m.tasks[tid]
		fmt.Fprintf(&b, "thread %d of %d: %c", tid, t.g.pid, t.state())
		if t.tracer != nil {
			fmt.Fprintf(&b, ", tracer %d", t.tracer.id)
		}
		if t.stop != nil {
			fmt.Fprintf(&b, ", stop %#x", t.exitCode)
		}
		for _, q := range t.pending {
			fmt.Fprintf(&b, ", signal %d", q.no)
		}
		if t.g.guard == t {
			b.WriteString(", execs")
		}
		if t.job != (jobctl{}) {
			fmt.Fprintf(&b, ", %v", t.job)
		}
		b.WriteByte('\n')
	}
	for _, pid := range sorted(m.groups) {
		g := m.groups[pid]
		fmt.Fprintf(&b, "process %d: exiting %t, stopped %t, to stop %d, %d signals\n",
			pid, g.exiting, g.stopStopped, g.stopCount, len(g.shared))
	}
	return b.String()
}

func sorted[V any](m map[int]V) []int { return slices.Sorted(maps.Keys(m)) }
