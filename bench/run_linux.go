package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"massattach/internal/report"
)

// run is one run of the benchmark.
type run struct {
	*Options
	plan
	begin  time.Time
	found  map[string]*found
	never  map[string]bool // case and peer that took too long at some size
	result *report.Bench

	refused []refusal // of the case that is measured
}

// refusal is why there is no target of n threads.
type refusal struct {
	n       int
	outcome *outcomeError
}

// Run measures. When ctx ends what was done until then is the result, and Interrupted is
// true in it. Nothing is left behind: no process, and nobody stopped. An error says that
// nothing could be measured at all.
func Run(ctx context.Context, o *Options) (*report.Bench, error) {
	r := &run{Options: o, plan: o.plan(), begin: time.Now(), never: make(map[string]bool),
		result: &report.Bench{Machine: machine(o.Version), Cases: []report.BenchCase{}, Peers: []report.Peer{},
			Cells: []report.Cell{}, Ratios: []report.Ratio{}, Growth: []report.Growth{}, Profiles: []report.Profile{}}}
	chosen, err := r.choose()
	if err != nil {
		return nil, err
	}
	defer killMarked()
	r.found = r.find(ctx)
	err = r.noise(ctx)
	total, late := 0, 0
	for _, c := range chosen {
		total += len(r.sizesOf(&c))
		r.result.Cases = append(r.result.Cases, c.BenchCase)
	}
	done := 0
	for _, c := range chosen {
		for _, n := range r.sizesOf(&c) {
			if err != nil || ctx.Err() != nil {
				break
			}
			if r.late() {
				late++
				r.refused = append(r.refused, refusal{n, &outcomeError{report.OutcomeTimeout, timeIsOver}})
				continue
			}
			if r.Progress != nil {
				r.Progress(Step{Case: c.Name, Threads: n, Done: done, Total: total})
			}
			err = r.measure(ctx, &c, n)
			done++
		}
		r.refuse(&c)
	}
	if late > 0 {
		r.say(fmt.Sprintf("the time is over: %d of %d cases and sizes are left out", late, total))
	}
	r.compare()
	r.result.ElapsedNS = time.Since(r.begin).Nanoseconds()
	if ctx.Err() != nil {
		r.result.Interrupted = true
		return r.result, nil
	}
	return r.result, err
}

// timeIsOver is why somebody was left out.
const timeIsOver = "the time for all was over before its turn"

// late reports whether the time for the whole is over.
func (r *run) late() bool { return r.budget > 0 && time.Since(r.begin) > r.budget }

func (r *run) say(line string) {
	if r.Say != nil {
		r.Say(line)
	}
}

// choose are the cases that were asked for.
func (r *run) choose() (chosen []kase, err error) {
	for _, name := range r.Cases {
		if !slices.Contains(CaseNames(), name) {
			return nil, fmt.Errorf("bench: there is no case %q", name)
		}
	}
	for _, c := range cases {
		switch {
		case r.Cases != nil:
			if slices.Contains(r.Cases, c.Name) {
				chosen = append(chosen, c)
			}
		case !r.Quick || c.quick != nil:
			chosen = append(chosen, c)
		}
	}
	return chosen, nil
}

func (r *run) sizesOf(c *kase) []int {
	switch {
	case r.Sizes != nil:
		return r.Sizes
	case r.Quick && c.quick != nil:
		return c.quick
	case r.Quick:
		return quickSizes
	}
	return c.sizes
}

// measure measures one case at one size: all subjects by turns, A B A B, until there are
// enough rounds, or the time is over.
func (r *run) measure(ctx context.Context, c *kase, n int) error {
	s, err := r.open(ctx, c, n)
	if o, ok := errors.AsType[*outcomeError](err); ok {
		r.refused = append(r.refused, refusal{n, o})
		return nil
	}
	if err != nil {
		return err
	}
	defer func() {
		if s != nil {
			_ = s.close()
		}
	}()
	subjects, err := c.subjects(s)
	if o, ok := errors.AsType[*outcomeError](err); ok {
		r.refused = append(r.refused, refusal{n, o})
		return nil
	}
	if err != nil {
		return err
	}
	turns := r.turns(c, n, subjects)
	begin := time.Now()
	for round := range r.rounds {
		if round >= r.least && time.Since(begin) > r.slice || round > 0 && r.late() {
			break
		}
		for i := range turns {
			t := &turns[i]
			if t.done || ctx.Err() != nil {
				continue
			}
			if t.subject.peer != "" && len(t.samples) == 0 && r.late() {
				t.outcome, t.done = &outcomeError{report.OutcomeTimeout, timeIsOver}, true
				continue
			}
			took := time.Now()
			s.damage = ""
			figures, err := r.take(ctx, s, t.subject)
			if ctx.Err() != nil {
				continue
			}
			o, failed := errors.AsType[*outcomeError](err)
			switch {
			case err == nil:
				t.samples = append(t.samples, figures)
			case failed:
				t.outcome, t.done = o, true
			default:
				t.outcome, t.done = &outcomeError{report.OutcomeRefused, report.Line(err.Error())}, true
			}
			elapsed := time.Since(took)
			if t.subject.peer != "" && elapsed > r.plan.once {
				t.done = true
				begin = begin.Add(elapsed) // the others have their time all the same
			}
			if t.subject.peer != "" && elapsed > neverAbove {
				r.never[c.Name+" "+t.subject.name] = true
			}
			s.heal()
			damage := s.damage
			t.damage = cmp.Or(damage, t.damage)
			if damage != "" || err != nil {
				// The others get a target that nobody has broken.
				_ = s.close()
				s, err = r.open(ctx, c, n)
				if err == nil {
					err = again(c, s, turns)
				}
				if o, ok := errors.AsType[*outcomeError](err); ok {
					r.record(c, n, without(turns, o))
					return nil
				}
				if err != nil {
					r.record(c, n, turns)
					return err
				}
			}
		}
	}
	r.record(c, n, turns)
	if r.Profile && c.Kind == report.InProcess && ctx.Err() == nil {
		return r.profile(ctx, c, n, s, turns)
	}
	return nil
}

// again gives the turns that are left the subjects of another target.
func again(c *kase, s *stage, turns []turn) error {
	subjects, err := c.subjects(s)
	if err != nil {
		return err
	}
	for i := range turns {
		turns[i].subject = subjects[i]
	}
	return nil
}

// without are turns that have no target any more.
func without(turns []turn, o *outcomeError) []turn {
	for i := range turns {
		if t := &turns[i]; !t.done {
			t.outcome, t.done = &outcomeError{o.outcome, "no target after the one that was broken: " + o.detail}, true
		}
	}
	return turns
}

// refuse records the sizes of a case at which there was no target for any subject: for
// all that the case has at other sizes.
func (r *run) refuse(c *kase) {
	subjects := r.result.Subjects(c.Name)
	if len(subjects) == 0 {
		subjects = []string{report.SubjectOurs}
		if c.Kind == report.InProcess {
			subjects = append(subjects, report.SubjectRaw)
		}
	}
	for _, no := range r.refused {
		for _, s := range subjects {
			r.cell(c, no.n, s, no.outcome)
		}
	}
	r.refused = nil
}

// patience is how long one turn may take in all: nothing of ours does, but a target that
// somebody has stopped answers nothing.
const patience = 90 * time.Second

// take has a subject do its thing once.
func (r *run) take(ctx context.Context, s *stage, who subject) (sample, error) {
	sub, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	figures, err := s.observe(sub, who.run)
	if err != nil && sub.Err() != nil && ctx.Err() == nil {
		return nil, &outcomeError{report.OutcomeTimeout, fmt.Sprintf("over %v", patience)}
	}
	return figures, err
}

// turn is a subject, and what it has done.
type turn struct {
	subject subject
	samples []sample
	outcome *outcomeError
	damage  string // that a run has left in the target
	done    bool
}

// turns are the subjects; those that are absent, and those that have taken too long at a
// smaller size, have had theirs.
func (r *run) turns(c *kase, n int, subjects []subject) []turn {
	turns := make([]turn, len(subjects))
	for i, s := range subjects {
		turns[i].subject = s
		switch f := r.found[s.peer]; {
		case s.peer == "":
		case f.report.Absent != "":
			turns[i].outcome = &outcomeError{report.OutcomeAbsent, f.report.Absent}
		case r.never[c.Name+" "+s.name]:
			turns[i].outcome = &outcomeError{report.OutcomeTimeout, fmt.Sprintf("over %v with fewer threads", neverAbove)}
		}
		turns[i].done = turns[i].outcome != nil
	}
	return turns
}

// record makes cells of what was done.
func (r *run) record(c *kase, n int, turns []turn) {
	for _, t := range turns {
		if len(t.samples) == 0 {
			if t.outcome != nil {
				if t.damage != "" {
					t.outcome.detail += "; it " + t.damage
				}
				r.cell(c, n, t.subject.name, t.outcome)
			}
			continue
		}
		// What came after figures is not to be hidden.
		var then []string
		if t.outcome != nil {
			then = append(then, "later "+t.outcome.Error())
		}
		if t.damage != "" {
			then = append(then, "it "+t.damage)
		}
		detail := strings.Join(then, "; ")
		for _, figure := range figuresOf(t.samples) {
			var v []float64
			for _, s := range t.samples {
				if f, ok := s[figure]; ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
					v = append(v, f)
				}
			}
			if len(v) == 0 {
				continue
			}
			r.result.Cells = append(r.result.Cells, report.Cell{
				Case: c.Name, N: n, Subject: t.subject.name, Figure: figure,
				Median: median(v), Min: slices.Min(v), Max: slices.Max(v), Runs: len(v),
				Outcome: report.OutcomeOK, Detail: detail, Samples: v,
			})
		}
	}
}

// cell notes that there are no figures.
func (r *run) cell(c *kase, n int, subject string, o *outcomeError) {
	r.result.Cells = append(r.result.Cells, report.Cell{
		Case: c.Name, N: n, Subject: subject, Figure: c.Figure, Outcome: o.outcome, Detail: o.detail,
	})
}

// figuresOf are the figures of samples, that which counts first and the others by name.
func figuresOf(samples []sample) (names []string) {
	for _, s := range samples {
		for f := range s {
			if !slices.Contains(names, f) {
				names = append(names, f)
			}
		}
	}
	slices.Sort(names)
	return names
}

// compare adds the ratios and the growth. Ours is compared with each other subject, in
// the figure of the case, and in the pause that the target felt.
func (r *run) compare() {
	b := r.result
	for _, c := range b.Cases {
		for _, subject := range b.Subjects(c.Name) {
			for _, n := range b.Sizes(c.Name) {
				if subject == report.SubjectOurs {
					continue
				}
				for _, figure := range []string{c.Figure, report.FigurePause} {
					if figure == report.FigurePause && subject == report.SubjectRaw {
						continue
					}
					ours, ok := b.Cell(c.Name, n, report.SubjectOurs, figure)
					theirs, there := b.Cell(c.Name, n, subject, figure)
					if !ok || !there {
						continue
					}
					i, ok := ratioOf(ours.Samples, theirs.Samples)
					if !ok {
						continue
					}
					b.Ratios = append(b.Ratios, report.Ratio{
						Case: c.Name, N: n, Of: report.SubjectOurs, To: subject, Figure: figure,
						Median: i.median, Low: i.low, High: i.high, None: hides(b.Noise, i, ours, theirs),
					})
				}
			}
		}
		if c.Figure != report.FigureSeconds {
			continue
		}
		for _, subject := range b.Subjects(c.Name) {
			var points []point
			for _, n := range b.Sizes(c.Name) {
				if cell, ok := b.Cell(c.Name, n, subject, c.Figure); ok {
					for _, v := range cell.Samples {
						points = append(points, point{float64(n), v})
					}
				}
			}
			if e, ok := growthOf(points); ok {
				b.Growth = append(b.Growth, report.Growth{Case: c.Name, Subject: subject, Exponent: e.median, Low: e.low, High: e.high})
			}
		}
	}
}
