package report

import (
	"time"

	"golang.org/x/sys/unix"

	"massattach/attacher"
)

// Session is the report of one process that was attached to.
type Session struct {
	PID int `json:"pid"`
	// NSPID is the process's number in its own PID namespace. Absent when it
	// is the same.
	NSPID      int    `json:"ns_pid,omitempty"`
	Comm       string `json:"comm"`
	Leader     string `json:"leader"` // "alive" or "zombie"
	Converged  bool   `json:"converged"`
	ScanPasses int    `json:"scan_passes"`
	Ended      bool   `json:"ended"`
	// Follow is how births were followed: "event", "scan", "clone" or "none".
	// FollowMissing is what event lacks, when that was wanted; otherwise empty.
	Follow        string    `json:"follow"`
	FollowMissing string    `json:"follow_missing"`
	Threads       Totals    `json:"threads"`
	Failures      []Failure `json:"failures"` // the first 100
	FailuresTotal int       `json:"failures_total"`
	Attach        Attach    `json:"attach"`
	Stop          *Stop     `json:"stop,omitempty"` // absent where nobody was stopped
	Repair        Repair    `json:"repair"`
	Events        Events    `json:"events"`
	Detach        Detach    `json:"detach"`

	// What follows is for people.

	// Stayed is how long it was attached.
	Stayed time.Duration `json:"-"`
	// Interrupted: the attach was broken off. Threads has what was reached
	// until then, and Listed how many there were to reach.
	Interrupted bool `json:"-"`
	Listed      int  `json:"-"`
}

// Totals are the threads of the target by what became of them.
//
//	Found = Attached + Vanished + Zombie + Failed
type Totals struct {
	Found    int `json:"found"`
	Attached int `json:"attached"`
	Vanished int `json:"vanished"`
	Zombie   int `json:"zombie"`
	Failed   int `json:"failed"`
	Born     int `json:"born"`   // of Found: after the first pass
	Exited   int `json:"exited"` // of Attached: since
}

// Failure is a thread that could not be reached.
type Failure struct {
	TID    int    `json:"tid"`
	Op     string `json:"op"`
	Errno  string `json:"errno"`
	Cause  string `json:"cause"`
	Detail string `json:"-"` // the cause in words
	Hint   string `json:"hint"`
}

// Attach says how long the attach took, the single SEIZE, and how long newborns
// were free before theirs, which event mode knows.
type Attach struct {
	ElapsedNS int64   `json:"elapsed_ns"`
	LatencyNS Latency `json:"latency_ns"`
	GapNS     Latency `json:"gap_ns"`
}

// Latency is quantiles in nanoseconds.
type Latency struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

// Repair counts system calls that a stop has interrupted.
type Repair struct {
	EINTRRepaired    int `json:"eintr_repaired"`
	EINTRLeft        int `json:"eintr_left"`
	TimeoutsExtended int `json:"timeouts_extended"`
}

// Events counts what happened to the target while attached.
type Events struct {
	Signals    int `json:"signals"`
	Births     int `json:"births"`
	Exits      int `json:"exits"`
	Execs      int `json:"execs"`
	GroupStops int `json:"group_stops"`
	// Overflows are births that came faster than they could be heard of; the
	// threads were looked for in the list.
	Overflows int `json:"overflows"`
}

// Detach says how long it took to let everybody go.
type Detach struct {
	ElapsedNS int64 `json:"elapsed_ns"`
	Confirmed bool  `json:"confirmed"`
}

// FromAttacher turns the account of a session into its report.
func FromAttacher(r attacher.Report) *Session {
	s := &Session{
		PID:        r.PID,
		Comm:       r.Comm,
		Leader:     string(r.Leader),
		Converged:  r.Converged,
		ScanPasses: r.Passes,
		Follow:     r.Follow.String(), FollowMissing: r.FollowMissing,
		Ended: r.Ended,
		Threads: Totals{
			Found:    r.Threads.Found,
			Attached: r.Threads.Attached,
			Vanished: r.Threads.Vanished,
			Zombie:   r.Threads.Zombie,
			Failed:   r.Threads.Failed,
			Born:     r.Threads.Born,
			Exited:   r.Threads.Exited,
		},
		Failures:      make([]Failure, 0, len(r.Failures)),
		FailuresTotal: r.Threads.Failed,
		Attach: Attach{
			ElapsedNS: r.Attach.Elapsed.Nanoseconds(),
			LatencyNS: latency(r.Attach.Latency),
			GapNS:     latency(r.Attach.Gap),
		},
		Repair: Repair{
			EINTRRepaired:    r.Repair.Repaired,
			EINTRLeft:        r.Repair.Left,
			TimeoutsExtended: r.Repair.Extended,
		},
		Events: Events(r.Events),
		Detach: Detach{ElapsedNS: r.Detach.Elapsed.Nanoseconds(), Confirmed: r.Detach.Confirmed},
	}
	for _, f := range r.Failures {
		s.Failures = append(s.Failures, Failure{
			TID:    f.TID,
			Op:     "seize",
			Errno:  unix.ErrnoName(f.Errno),
			Cause:  string(f.Cause),
			Detail: f.Detail,
			Hint:   f.Hint,
		})
	}
	return s
}

func latency(q attacher.Quantiles) Latency {
	return Latency{P50: q.P50.Nanoseconds(), P99: q.P99.Nanoseconds(), Max: q.Max.Nanoseconds()}
}

// Failed stands in the place of a report where there is nothing to report.
type Failed struct {
	PID   int   `json:"pid,omitempty"` // absent when there was no process yet
	Error Error `json:"error"`
}

// Error says why.
type Error struct {
	Op    string `json:"op"`
	Cause string `json:"cause"`
	Hint  string `json:"hint"`
}
