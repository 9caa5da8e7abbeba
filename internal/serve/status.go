package serve

import (
	"time"

	"massattach/internal/report"
)

// State is what is known of a target.
type State string

const (
	Watched State = "watched" // its process is there
	Missing State = "missing" // it is looked for
	Gone    State = "gone"    // it was given by number, and has ended
)

// Outcome is how a probe went.
type Outcome string

const (
	Complete Outcome = "complete" // all threads were attached to, and stopped in time
	Partial  Outcome = "partial"  // some were not
	Skipped  Outcome = "skipped"  // somebody else traces it: nothing was done
	Failed   Outcome = "failed"   // nobody was attached to
	Ended    Outcome = "ended"    // the process has ended meanwhile
)

// Status is a target as /api/v1/targets shows it. The keys are a contract; more may
// be added.
type Status struct {
	Name    string `json:"name"`
	Find    string `json:"find"` // how it is found
	State   State  `json:"state"`
	PID     int    `json:"pid,omitempty"`  // of its process, or of the last one
	Comm    string `json:"comm,omitempty"` // that one's name
	Matches int    `json:"matches"`        // how many there were when it was found

	EveryNS    int64    `json:"every_ns"`
	DeadlineNS int64    `json:"deadline_ns"`
	Arrest     []string `json:"arrest"`
	Keep       bool     `json:"keep"`
	Follow     string   `json:"follow"`
	Attached   bool     `json:"attached"` // at this moment

	Probes map[Outcome]int `json:"probes"` // by how they went
	Last   *Probe          `json:"last,omitempty"`
}

// Probe is what is known of one probe.
type Probe struct {
	TimeNS    int64         `json:"time_ns"` // of its beginning, since 1970
	ElapsedNS int64         `json:"elapsed_ns"`
	Outcome   Outcome       `json:"outcome"`
	Error     *report.Error `json:"error,omitempty"`
}

// Report is the last report of a process: what attach and stop print, and an account
// of the arrest in each style. Stop is the last of them.
type Report struct {
	*report.Session
	Stops []*report.Stop `json:"stops,omitempty"`
}

func newStatus(t Target) Status {
	s := Status{
		Name: t.Title(), Find: t.How(), State: Missing,
		EveryNS: t.Every.Nanoseconds(), DeadlineNS: t.Deadline.Nanoseconds(),
		Arrest: make([]string, 0, len(t.Arrest)), Keep: t.Keep, Follow: t.follow().String(),
		Probes: make(map[Outcome]int),
	}
	for _, style := range t.Arrest {
		s.Arrest = append(s.Arrest, style.String())
	}
	return s
}

func newProbe(begin time.Time, o Outcome, why *report.Error) *Probe {
	return &Probe{TimeNS: begin.UnixNano(), ElapsedNS: time.Since(begin).Nanoseconds(), Outcome: o, Error: why}
}
