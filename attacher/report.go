package attacher

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"massattach/threadset"
)

// LeaderState is what became of the thread whose id is the process's.
type LeaderState string

const (
	LeaderAlive  LeaderState = "alive"
	LeaderZombie LeaderState = "zombie"
)

// Report is an account of a session, at one moment or of all of it.
type Report struct {
	PID    int
	Comm   string
	Leader LeaderState
	// Follow is how births are followed; FollowMissing, if not empty, why that
	// is not what was asked for: what FollowEvent lacks here.
	Follow        Follow
	FollowMissing string
	// Converged: the last pass over the threads, or a count of them, found nobody
	// unknown (in scan mode: nobody who had lived for Settle).
	Converged bool
	Passes    int  // looks for unknown threads: at the list, its newest, or their number
	Ended     bool // the target has ended
	Threads   threadset.Totals
	Phases    threadset.Counts // the same threads by the phase they are in
	Tracers   int              // threads that trace now
	// Failures are the first of the threads that could not be seized; there
	// are Threads.Failed in all, and Causes has how many for each cause.
	Failures []Failure
	Causes   map[Cause]int
	Attach   AttachReport
	Repair   RepairReport
	Events   EventReport
	Detach   DetachReport
}

// AttachReport says how long the attach took, from the first read of the list
// of threads to the last SEIZE of the converged set, and how long the single
// SEIZE.
type AttachReport struct {
	Elapsed time.Duration
	Latency Quantiles
	// Gap is how long newborns were free, from their birth to their SEIZE, as
	// far as the kernel has told when that was (FollowEvent); to within 3 %.
	Gap Quantiles
}

// Quantiles of a set of durations; zero for an empty one.
type Quantiles struct{ P50, P99, Max time.Duration }

// RepairReport counts calls that stops have interrupted.
type RepairReport struct {
	Repaired int // that began anew, or ended as by their time-out
	Left     int // that returned EINTR, or perhaps an early result, although the target had no part in it
	Extended int // of Repaired: whose relative time-out began anew
}

// EventReport counts what happened to the target while attached.
type EventReport struct {
	Signals, Births, Exits, Execs, GroupStops int
	// Overflows are births that came so fast that the kernel's log of them was
	// overwritten; the threads were looked for in the list. With several sessions
	// in a program, whose they were nobody knows, and each counts all.
	Overflows int
}

// DetachReport says how long the detach took until the last tracer was gone,
// and whether that let the target's threads go. It is zero before.
type DetachReport struct {
	Elapsed   time.Duration
	Confirmed bool
}

// maxFailures is how many failures are kept one by one.
const maxFailures = 100

// stats are counted by the tracers.
type stats struct {
	signals, births, exits, execs, groupStops atomic.Int64
	repaired, left, extended                  atomic.Int64
	impossible                                atomic.Int64 // moves that the table forbids
	overflows                                 atomic.Int64 // births that were not heard of
	withdrawn                                 atomic.Int64 // finds of a scan who were tracees already
}

// ledger is what a session notes down for its report.
type ledger struct {
	mu        sync.Mutex
	first     time.Time // read of the list
	last      time.Time // SEIZE of the attach
	attached  bool      // the attach is over
	took      []time.Duration
	gaps      histogram
	failures  []Failure
	causes    map[Cause]int // of all failures
	passes    int
	converged bool
	doubts    int // how often unconverge was called
	detach    DetachReport
}

// expect makes room for so many.
func (l *ledger) expect(threads int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = slices.Grow(l.took, threads)
}

func (l *ledger) seized(took []time.Duration, last time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.attached {
		return
	}
	l.took = append(l.took, took...)
	if last.After(l.last) {
		l.last = last
	}
}

func (l *ledger) noteGaps(gaps []time.Duration) {
	if len(gaps) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range gaps {
		l.gaps.add(d)
	}
}

func (l *ledger) failed(f Failure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.causes == nil {
		l.causes = make(map[Cause]int)
	}
	l.causes[f.Cause]++
	if len(l.failures) < maxFailures {
		l.failures = append(l.failures, f)
	}
}

// failure answers the first failure and how many there were.
func (l *ledger) failure() (f Failure, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.causes {
		n += m
	}
	if n > 0 {
		f = l.failures[0]
	}
	return f, n
}

// pass begins a pass over the threads.
func (l *ledger) pass() (doubts int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.doubts
}

// passed ends one, and says whether it was clean: that it found nobody unknown
// proves nothing if there was a doubt since it began.
func (l *ledger) passed(clean bool, doubts int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passes++
	l.converged = clean && doubts == l.doubts
	return l.converged
}

// unconverge says that there may be threads that no pass has found.
func (l *ledger) unconverge() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.converged = false
	l.doubts++
}

func (l *ledger) isConverged() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.converged
}

// begun notes the first read of the list of threads.
func (l *ledger) begun(first time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first.IsZero() {
		l.first = first
	}
}

// attachTime ends the attach and answers how long it took.
func (l *ledger) attachTime() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attached = true
	return l.last.Sub(l.first)
}

func (l *ledger) isAttached() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.attached
}

func (l *ledger) detached(took time.Duration, confirmed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.detach = DetachReport{took, confirmed}
}

// Report answers an account of the session so far.
func (s *Session) Report() Report {
	r := Report{
		PID:     s.pid,
		Comm:    s.comm,
		Leader:  LeaderAlive,
		Follow:  s.Follow(),
		Threads: s.set.Totals(),
		Phases:  s.set.Counts(),
		Tracers: s.tracing(),
		Repair: RepairReport{
			Repaired: int(s.stats.repaired.Load()),
			Left:     int(s.stats.left.Load()),
			Extended: int(s.stats.extended.Load()),
		},
		Events: EventReport{
			Signals:    int(s.stats.signals.Load()),
			Births:     int(s.stats.births.Load()),
			Exits:      int(s.stats.exits.Load()),
			Execs:      int(s.stats.execs.Load()),
			GroupStops: int(s.stats.groupStops.Load()),
			Overflows:  int(s.stats.overflows.Load()),
		},
	}
	if r.Threads.Zombie > 0 {
		r.Leader = LeaderZombie
	}
	r.Ended = s.isEnded()
	if s.muteFor != nil {
		r.FollowMissing = s.muteFor.Error()
	}
	s.ledger.report(&r)
	return r
}

func (l *ledger) report(r *Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Converged, r.Passes = l.converged, l.passes
	r.Failures, r.Causes = slices.Clone(l.failures), maps.Clone(l.causes)
	if l.attached {
		r.Attach.Elapsed = l.last.Sub(l.first)
	}
	r.Attach.Latency = QuantilesOf(l.took)
	r.Attach.Gap = l.gaps.quantiles()
	r.Detach = l.detach
}

// QuantilesOf sorts took.
func QuantilesOf(took []time.Duration) Quantiles {
	if len(took) == 0 {
		return Quantiles{}
	}
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[min(len(took)-1, int(q*float64(len(took))))] }
	return Quantiles{P50: at(0.5), P99: at(0.99), Max: took[len(took)-1]}
}
