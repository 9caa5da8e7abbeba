package attachertest

import (
	"runtime"
	"slices"
	"sync"
	"syscall"

	"massattach/attacher"
	"massattach/internal/sys"
)

// Machine is a simulated kernel with one process, and more if a test asks for
// them. Its exported fields are set before it is used.
//
// All methods may be called from any goroutine; the tracers that it hands out
// watch that theirs are not.
type Machine struct {
	// Before runs ahead of every call of the attacher, with nothing locked: op
	// is the call ("seize", "look", "list", …), tid its thread or 0. An error
	// is the call's answer; what the call would have done is then not done.
	Before func(op string, tid int) error
	// Gate runs ahead of Before, and may block: tracer is the id of the calling
	// tracer, 0 for a call on /proc, below 0 for one on a log of births. A call that sleeps comes to the gate again,
	// with "sleep", instead of sleeping: it finds out what woke it when it is
	// let through, and [Machine.Awake] says whether there is anything.
	Gate func(tracer int, op string, tid int)
	// ChunkSize is how many threads one piece of a listing has; 0 is 1,000.
	ChunkSize int
	// LogSize is how many births a log of them has room for; 0 is any number.
	LogSize int
	// Unfit is how often Tracer answers ErrUnfit before it gives one.
	Unfit int
	// Manual says that threads run by Run only.
	Manual bool
	// Unlocked says that tracers need no OS thread of their own. A simulation
	// runs twenty times faster so, but nobody watches on which thread their
	// methods are called.
	Unlocked bool

	mu      sync.Mutex
	pid     int
	last    int  // the number given out last
	asked   int  // the last answer of LastPID
	again   bool // a number has been given again
	turned  bool // all numbers have, see Numbers
	clock   uint64
	groups  map[int]*group
	tasks   map[int]*task
	tracers map[int]*tracer
	logs    []*births
	runq    []*task
	leaving []*tracer
	account Account
	sent    int // signals so far
	memory  []segment
	sockets map[int]*[2]int64
	facts   map[int]attacher.Facts
	killed  bool
}

var (
	_ attacher.Kernel = (*Machine)(nil)
	_ attacher.Proc   = (*Machine)(nil)
)

// New is a machine with a process pid of so many threads, whose ids follow on
// pid, all blocked in [EpollWait]. Its parent is blocked in waitpid.
func New(pid, threads int) *Machine {
	m := &Machine{
		pid:     pid,
		groups:  make(map[int]*group),
		tasks:   make(map[int]*task),
		tracers: make(map[int]*tracer),
		sockets: make(map[int]*[2]int64),
		facts:   make(map[int]attacher.Facts),
	}
	m.newGroup(pid, threads)
	return m
}

// AddProcess adds a process with so many threads and answers its pid.
func (m *Machine) AddProcess(threads int) int {
	defer m.lock()()
	return m.newGroup(m.nextID(), threads).pid
}

// Reuse gives the number tid of a thread that is gone to the only thread of a
// new process, a stranger to the first. It says whether the number was free.
func (m *Machine) Reuse(tid int) bool {
	defer m.lock()()
	if m.taken(tid) {
		return false
	}
	m.newGroup(tid, 1).stranger = true
	m.again = true
	m.turned = m.turned || tid == m.asked
	return true
}

func (m *Machine) newGroup(pid, threads int) *group {
	g := &group{m: m, pid: pid, parent: Parent{Waits: true}}
	m.groups[pid] = g
	m.last = pid
	call := EpollWait
	for i := range threads {
		tid := pid
		if i > 0 {
			tid = m.nextID()
		}
		m.newTask(g, tid, &call).enterCall()
	}
	return g
}

func (m *Machine) newTask(g *group, tid int, call *Call) *task {
	m.clock++
	t := &task{m: m, g: g, tid: tid, start: m.clock, comm: "fake", program: call}
	g.threads = append(g.threads, t)
	m.tasks[tid] = t
	return t
}

// nextID gives out the next free number (kernel/pid.c, alloc_pid). A tracer's
// thread has one of them, too, and keeps it when it has ended.
func (m *Machine) nextID() int {
	m.turned = m.turned || m.again
	m.last++
	for m.taken(m.last) {
		m.last++
	}
	return m.last
}

func (m *Machine) taken(tid int) bool {
	return m.tasks[tid] != nil || m.tracers[tid] != nil
}

// lock takes the machine and answers what gives it back: everything that a
// change has set off is then done.
func (m *Machine) lock() (unlock func()) {
	m.mu.Lock()
	return m.unlock
}

func (m *Machine) unlock() {
	for !m.Manual && len(m.runq) > 0 {
		m.runNext(0)
	}
	m.mu.Unlock()
}

// runNext lets a thread that has something to do run until it sleeps, stops,
// ends or is in user mode.
func (m *Machine) runNext(i int) {
	t := m.runq[i]
	m.runq = append(m.runq[:i], m.runq[i+1:]...)
	t.queued = false
	t.run()
}

// Runnable lists the threads that have something to do, with Manual; those of
// tracers that are about to end are among them.
func (m *Machine) Runnable() []int {
	defer m.lock()()
	tids := make([]int, 0, len(m.runq))
	for _, t := range m.runq {
		tids = append(tids, t.tid)
	}
	for _, tr := range m.leaving {
		tids = append(tids, tr.id)
	}
	return tids
}

// Run lets the thread tid run until it sleeps, stops, ends or is in user mode.
// It says whether tid had anything to do.
func (m *Machine) Run(tid int) bool {
	defer m.lock()()
	for i, t := range m.runq {
		if t.tid == tid {
			m.runNext(i)
			return true
		}
	}
	for i, tr := range m.leaving {
		if tr.id == tid {
			m.leaving = slices.Delete(m.leaving, i, i+1)
			tr.end()
			return true
		}
	}
	return false
}

// enter is the way into every call of the attacher: through the gate, past the
// hook, into the lock. It has not locked when it answers an error.
func (m *Machine) enter(tracer int, op string, tid int) error {
	if m.Gate != nil {
		m.Gate(tracer, op, tid)
	}
	if m.Before != nil {
		if err := m.Before(op, tid); err != nil {
			return err
		}
	}
	m.mu.Lock()
	return nil
}

// Tracer is a new tracer thread: [attacher.Kernel].
func (m *Machine) Tracer() (attacher.Tracer, error) {
	thread := 0
	if !m.Unlocked {
		runtime.LockOSThread()
		thread = sys.Gettid()
	}
	if err := m.enter(0, "tracer", 0); err != nil {
		return nil, err
	}
	defer m.unlock()
	if m.killed {
		return nil, syscall.ESRCH
	}
	if m.Unfit > 0 {
		m.Unfit--
		return nil, attacher.ErrUnfit
	}
	return m.newTracer(thread, ""), nil
}
