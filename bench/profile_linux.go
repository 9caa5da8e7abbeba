package bench

import (
	"bytes"
	"cmp"
	"context"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"massattach/internal/report"
)

// profileAbove is the ratio to the bare loop from which on it is asked where the time
// goes, and profileFor how long that is looked at.
const (
	profileAbove = 1.2
	profileFor   = 3 * time.Second
)

// profileSize is the number of threads at which that is done, or the most below it.
const profileSize = 10_000

// profile takes a CPU profile of what takes longer than the bare loop. It slows what it
// looks at, and so comes after the figures.
func (r *run) profile(ctx context.Context, c *kase, n int, s *stage, turns []turn) error {
	for _, other := range r.sizesOf(c) {
		if n > profileSize || n < other && other <= profileSize {
			return nil
		}
	}
	ours, ok := r.result.Cell(c.Name, n, report.SubjectOurs, c.Figure)
	bare, there := r.result.Cell(c.Name, n, report.SubjectRaw, c.Figure)
	if c.More || !ok || !there {
		return nil
	}
	if i, ok := ratioOf(ours.Samples, bare.Samples); !ok || i.median < profileAbove {
		return nil
	}
	var b bytes.Buffer
	if err := pprof.StartCPUProfile(&b); err != nil {
		return err
	}
	var err error
	for end := time.Now().Add(profileFor); err == nil && ctx.Err() == nil && time.Now().Before(end); {
		_, err = s.observe(ctx, turns[0].subject.run)
	}
	pprof.StopCPUProfile()
	if err != nil || ctx.Err() != nil {
		return nil // the figures are there
	}
	p, err := profile.Parse(&b)
	if err != nil {
		return err
	}
	total, top := hottest(p)
	r.result.Profiles = append(r.result.Profiles, report.Profile{Case: c.Name, N: n, Samples: total, Top: top})
	return nil
}

// hottest sums up a profile by the innermost function of this module on each stack: what
// it calls in the runtime or the kernel is its own.
func hottest(p *profile.Profile) (total int, top []report.Hot) {
	const most = 8
	sums := make(map[string]int)
	for _, s := range p.Sample {
		n := int(s.Value[0])
		total += n
		sums[innermost(s)] += n
	}
	for f, n := range sums {
		top = append(top, report.Hot{Function: f, Share: float64(n) / float64(max(total, 1))})
	}
	slices.SortFunc(top, func(a, b report.Hot) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Function, b.Function))
	})
	return total, top[:min(len(top), most)]
}

func innermost(s *profile.Sample) string {
	for _, l := range s.Location {
		for _, line := range l.Line {
			if name, ok := strings.CutPrefix(line.Function.Name, "massattach/"); ok {
				return name
			}
		}
	}
	return "Go's runtime"
}
