package bench

import (
	"context"
	"slices"

	"massattach/internal/report"
	"massattach/internal/target"
)

// A kase is a thing to be measured: what the target is, and who does it to it.
type kase struct {
	report.BenchCase
	sizes []int // threads of the target
	quick []int // the same in a quick run; none: it is no part of that
	spec  func(n int) target.Spec
	// subjects are those who take turns, ours first. They are asked for once the
	// target is there.
	subjects func(s *stage) ([]subject, error)
}

// A subject is who does a thing to the target.
type subject struct {
	name string
	// peer is the name of the tool, "" for what is part of this program.
	peer string
	// run does it once. Afterwards the target is as before. An *outcomeError says why
	// there are no figures.
	run func(ctx context.Context) (sample, error)
}

// A sample is what one run gave, by figure.
type sample map[string]float64

// An outcomeError is a result in the place of figures.
type outcomeError struct {
	outcome string // one of report.Outcome…
	detail  string
}

func (e *outcomeError) Error() string { return e.outcome + ": " + e.detail }

// The sizes at which things are measured, unless it is said otherwise.
var (
	allSizes   = []int{1_000, 4_000, 10_000, 30_000, 100_000}
	someSizes  = []int{1_000, 10_000, 30_000} // of what takes a window of time each
	quickSizes = []int{1_000, 10_000}
)

// mix is the standard target, which is nobody's child.
func mix(n int) target.Spec {
	s := target.Mix(n)
	s.Orphan = true
	return s
}

// cases are all there are, in the order of the report.
var cases = slices.Concat(wholeCases, attachCases, arrestCases, heldCases)

// CaseNames are what --case takes.
func CaseNames() (names []string) {
	for _, c := range cases {
		names = append(names, c.Name)
	}
	return names
}
