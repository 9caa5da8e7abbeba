package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// patience is how many durations wait for a scrape. To observe one costs 100 ns and
// more, which no tracer thread has to spare.
const patience = 1 << 16

// backlog is durations that are still to be observed.
type backlog struct {
	to        prometheus.Histogram
	observing sync.Mutex // held while it is drained; taken before mu

	mu       sync.Mutex
	took     []time.Duration
	draining bool // somebody is about to drain it
}

// add copies took. It waits for no scrape.
func (b *backlog) add(took []time.Duration) {
	b.mu.Lock()
	b.took = append(b.took, took...)
	full := len(b.took) >= patience && !b.draining
	b.draining = b.draining || full
	b.mu.Unlock()
	if full {
		go b.drain()
	}
}

// drain returns when everything that was added before has been observed.
func (b *backlog) drain() {
	b.observing.Lock()
	defer b.observing.Unlock()
	b.mu.Lock()
	took := b.took
	b.took, b.draining = nil, false
	b.mu.Unlock()
	for _, d := range took {
		b.to.Observe(d.Seconds())
	}
}

// backlogs has one for each style and mechanism.
type backlogs struct {
	to *prometheus.HistogramVec

	mu sync.Mutex
	by map[[2]string]*backlog
}

func (bs *backlogs) of(style, mechanism string) *backlog {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	key := [2]string{style, mechanism}
	if bs.by[key] == nil {
		if bs.by == nil {
			bs.by = make(map[[2]string]*backlog)
		}
		bs.by[key] = &backlog{to: bs.to.WithLabelValues(style, mechanism).(prometheus.Histogram)}
	}
	return bs.by[key]
}

func (bs *backlogs) drain() {
	bs.mu.Lock()
	all := make([]*backlog, 0, len(bs.by))
	for _, b := range bs.by {
		all = append(all, b)
	}
	bs.mu.Unlock()
	for _, b := range all {
		b.drain()
	}
}
