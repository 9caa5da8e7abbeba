package bench

import (
	"fmt"

	"massattach/internal/report"
)

// A limit is the most that massattach may take by what the bare loop takes, at n threads.
type limit struct {
	kase string
	n    int
	most float64
}

// limits are those of the gate: what was measured on a quiet machine, and room for a
// noisy one. They are ratios within one run and never times; a change that makes
// something take twice as long is to be caught, not one that makes it slower by a tenth.
var limits = []limit{
	{"scan", 4_000, 1.8},
	{"attach", 4_000, 1.8},
	{"detach", 4_000, 4},
	{"arrest", 4_000, 2},
	{"arrest-notify", 4_000, 2.5},
	{"examine", 4_000, 3},
}

// A violation is a ratio that is over its limit for sure: also the low end of its
// interval is.
type violation struct {
	limit
	got interval
}

func (v violation) String() string {
	return fmt.Sprintf("%s at %d threads takes %.2f times what the bare loop takes (%.2f to %.2f), and may take %.2f",
		v.kase, v.n, v.got.median, v.got.low, v.got.high, v.most)
}

// violations are the limits that a run does not keep. A limit for which there is no ratio
// is an error: a gate that measures nothing lets everything pass.
func violations(b *report.Bench, limits []limit) (over []violation, err error) {
	for _, l := range limits {
		r, ok := b.Ratio(l.kase, l.n, report.SubjectRaw, report.FigureSeconds)
		if !ok {
			why := "there is no such ratio"
			for _, c := range b.Cells {
				if c.Case == l.kase && c.Detail != "" {
					why = c.Subject + ": " + c.Detail
				}
			}
			return nil, fmt.Errorf("bench: %s at %d threads: %s", l.kase, l.n, why)
		}
		if r.Low > l.most {
			over = append(over, violation{l, interval{r.Median, r.Low, r.High}})
		}
	}
	return over, nil
}
