package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"massattach/attacher"
	"massattach/metrics"
	"massattach/procfs"
)

// Options of [New]. The zero value is usable.
type Options struct {
	// Say is told what an operator should know: a line, now and then.
	Say func(format string, args ...any)
	// Bound is told that threads of a process will be held no longer than d; over,
	// that they are not held any more.
	Bound func(pid int, d time.Duration) (over func())
	// Kernel is the system, [attacher.Linux] when nil.
	Kernel attacher.Kernel
}

// Daemon watches targets.
type Daemon struct {
	options  Options
	registry *prometheus.Registry
	turn     chan struct{} // held by who probes

	mu       sync.Mutex
	watchers map[string]*watcher
	closed   bool
}

// New makes a daemon that watches nobody yet.
func New(o Options) *Daemon {
	d := &Daemon{
		options: o, registry: prometheus.NewRegistry(),
		turn: make(chan struct{}, 1), watchers: make(map[string]*watcher),
	}
	d.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		metrics.NewBuildInfo(),
	)
	return d
}

// Watch has it watch these targets and no others. Those that have not changed are not
// disturbed; those that have, or are not among them, are let go first, and Watch
// returns when they are. With an error nothing has changed. One call at a time.
func (d *Daemon) Watch(targets []Target) error {
	if err := ValidateAll(targets); err != nil {
		return err
	}
	d.mu.Lock()
	before := d.watchers
	closed := d.closed
	d.mu.Unlock()
	if closed {
		return errors.New("the daemon is closed")
	}

	// What can fail comes first.
	measured := make(map[string]*gauges)
	for _, t := range targets {
		name := t.Title()
		if w := before[name]; w != nil {
			measured[name] = w.gauges
			continue
		}
		g, err := newGauges(name, d.registry)
		if err != nil {
			for name, g := range measured {
				if before[name] == nil {
					g.unregister()
				}
			}
			return fmt.Errorf("target %s: %w", name, err)
		}
		measured[name] = g
	}

	after := make(map[string]*watcher)
	for _, t := range targets {
		if w := before[t.Title()]; w != nil && w.target.same(t) {
			after[t.Title()] = w
		}
	}
	var leaving sync.WaitGroup
	for name, w := range before {
		if after[name] == nil {
			leaving.Go(w.stop)
		}
	}
	leaving.Wait()
	for name, w := range before {
		if measured[name] == nil {
			w.gauges.unregister()
		}
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range targets {
		if name := t.Title(); after[name] == nil {
			after[name] = startWatcher(d, t, measured[name])
		}
	}
	d.watchers = after
	return nil
}

// Close lets all targets go, and returns when they are. What was measured stays.
func (d *Daemon) Close() {
	d.mu.Lock()
	d.closed = true
	all := d.watchers
	d.mu.Unlock()
	var leaving sync.WaitGroup
	for _, w := range all {
		leaving.Go(func() {
			w.stop()
			w.gauges.census.Close()
		})
	}
	leaving.Wait()
}

// Targets are those that are watched, by name.
func (d *Daemon) Targets() []Status {
	all := []Status{}
	for _, w := range d.all() {
		s, _, _ := w.snapshot()
		all = append(all, s)
	}
	return all
}

// Report answers the last report of a process: a [Report], or a *[report.Failed]. It
// is nil when there is none yet. known says whether the process is one that is watched,
// or the last one of a target.
func (d *Daemon) Report(pid int) (r any, known bool) {
	for _, w := range d.all() {
		s, _, last := w.snapshot()
		if s.PID != pid {
			continue
		}
		if known = true; last != nil {
			return last, true
		}
	}
	return nil, known
}

// Ready says that each target has been looked for.
func (d *Daemon) Ready() bool {
	for _, w := range d.all() {
		if _, looked, _ := w.snapshot(); !looked {
			return false
		}
	}
	return true
}

func (d *Daemon) all() []*watcher {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]*watcher, 0, len(d.watchers))
	for _, w := range d.watchers {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b *watcher) int { return strings.Compare(a.target.Title(), b.target.Title()) })
	return all
}

// takeTurn waits until nobody else probes. It answers false when the target has ended,
// or ctx has.
func (d *Daemon) takeTurn(ctx context.Context, ended <-chan struct{}) bool {
	select {
	case d.turn <- struct{}{}:
		return true
	case <-ended:
	case <-ctx.Done():
	}
	return false
}

func (d *Daemon) giveTurn() { <-d.turn }

func (d *Daemon) say(format string, args ...any) {
	if f := d.options.Say; f != nil {
		f(format, args...)
	}
}

func (d *Daemon) bound(pid int, within time.Duration) (over func()) {
	if f := d.options.Bound; f != nil {
		return f(pid, within)
	}
	return func() {}
}

func commOf(pid int) string {
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		return ""
	}
	defer p.Close()
	comm, _ := p.Comm(pid) // it may have ended
	return comm
}
