package metrics

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"massattach/procfs"
)

// everySecond is how old a census may be.
const everySecond = time.Second

// usual are the states that are shown also when no thread is in them.
const usual = "RSDTtZ"

var descStates = describe("target_threads", "Threads of the target by state, as /proc has it.", "state")

// Census counts the threads of processes by their state, without ptrace, when it is
// collected, and at most once a second: a scrape costs 8 µs a thread.
type Census struct {
	pids func() []int

	mu    sync.Mutex
	taken time.Time
	by    map[byte]int
}

// NewCensus makes one of the processes that pids answers when it is asked. Those that
// don't live, or can't be read, are left out.
func NewCensus(pids func() []int) *Census { return &Census{pids: pids} }

// Describe implements [prometheus.Collector].
func (c *Census) Describe(ch chan<- *prometheus.Desc) { ch <- descStates }

// Collect implements [prometheus.Collector].
func (c *Census) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.taken) >= everySecond {
		c.by = make(map[byte]int)
		for _, pid := range c.pids() {
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

func (c *Census) count(pid int) {
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		return
	}
	defer p.Close()
	for t, err := range p.Threads(procfs.Selection{}, procfs.DetailState) {
		if err != nil {
			return // it has ended meanwhile
		}
		if t.State != 0 {
			c.by[t.State]++
		}
	}
}
