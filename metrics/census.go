package metrics

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"massattach/internal/bpf"
	"massattach/procfs"
)

// everySecond is how old a census may be.
const everySecond = time.Second

// usual are the states that are shown also when no thread is in them.
const usual = "RSDTtZ"

var descStates = describe("target_threads", "Threads of the target by state, as /proc has it.", "state")

// Census counts the threads of processes by their state, without ptrace, when it is
// collected, and at most once a second. Where the kernel lets us have its iterator over
// tasks (Linux 6.1, CAP_BPF and CAP_PERFMON) that costs less than a tenth of what it
// costs by /proc, elsewhere.
type Census struct {
	pids func() []int

	mu    sync.Mutex
	taken time.Time
	by    states
	tasks map[int]*bpf.Tasks // of the processes that were counted last; nil: it doesn't work
}

// states counts threads by the letter of their state.
type states map[byte]int

// NewCensus makes one of the processes that pids answers when it is asked. Those that
// don't live, or can't be read, are left out.
func NewCensus(pids func() []int) *Census {
	return &Census{pids: pids, tasks: make(map[int]*bpf.Tasks)}
}

// Close gives back what is kept between two looks. Who collects later has it again.
func (c *Census) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(nil)
	c.taken = time.Time{}
}

// Describe implements [prometheus.Collector].
func (c *Census) Describe(ch chan<- *prometheus.Desc) { ch <- descStates }

// Collect implements [prometheus.Collector].
func (c *Census) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.taken) >= everySecond {
		c.by = make(states)
		pids := c.pids()
		c.keep(pids)
		for _, pid := range pids {
			c.count(pid)
		}
		c.taken = time.Now()
	}
	for _, state := range []byte(procfs.States) {
		if n := c.by[state]; n > 0 || strings.IndexByte(usual, state) >= 0 {
			ch <- prometheus.MustNewConstMetric(descStates, prometheus.GaugeValue, float64(n), string(rune(state)))
		}
	}
}

// keep closes what is about other processes than pids.
func (c *Census) keep(pids []int) {
	for pid, t := range c.tasks {
		if !slices.Contains(pids, pid) {
			if t != nil {
				_ = t.Close() // nothing is lost with it
			}
			delete(c.tasks, pid)
		}
	}
}

func (c *Census) count(pid int) {
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		return
	}
	defer p.Close()
	if by, ok := c.iterate(p); ok {
		c.by.add(by)
		return
	}
	by := make(states)
	for t, err := range p.Threads(procfs.Selection{}, procfs.DetailState) {
		if err != nil {
			return // it has ended meanwhile
		}
		if t.State != 0 {
			by[t.State]++
		}
	}
	c.by.add(by)
}

// iterate counts by the kernel's iterator. A pass may end early without a word, when a
// thread ends meanwhile: one with too few is none.
func (c *Census) iterate(p *procfs.Process) (states, bool) {
	t, known := c.tasks[p.PID()]
	if !known {
		t, _ = bpf.OpenTasks(p.PID()) // where it doesn't work there is /proc
		c.tasks[p.PID()] = t
	}
	if t == nil {
		return nil, false
	}
	want, err := p.NumThreads()
	if err != nil {
		return nil, false
	}
	by, n := make(states), 0
	for task, err := range t.All() {
		if err != nil {
			return nil, false
		}
		by[task.State]++
		n++
	}
	return by, n >= want
}

func (s states) add(other states) {
	for state, n := range other {
		s[state] += n
	}
}
