package dashboard

import (
	"fmt"
	"strings"
)

// selected picks the targets and instances that are chosen above the panels, and
// whatever else is given.
func selected(more ...string) string {
	return "{" + strings.Join(append([]string{`target=~"$target"`, `instance=~"$instance"`}, more...), ", ") + "}"
}

// metric answers a metric of the selected targets.
func metric(name string, more ...string) string { return "massattach_" + name + selected(more...) }

// rate answers what a counter, or a native histogram, has grown by in a second.
func rate(name string, more ...string) string {
	return "rate(" + metric(name, more...) + "[$__rate_interval])"
}

// sum adds up, for each combination of labels.
func sum(expr string, by ...string) string {
	if len(by) == 0 {
		return "sum(" + expr + ")"
	}
	return "sum by (" + strings.Join(by, ", ") + ") (" + expr + ")"
}

// top answers the n largest.
func top(n int, expr string) string { return fmt.Sprintf("topk(%d, %s)", n, expr) }

// quantile answers a quantile of a histogram, for each combination of labels: of the
// native one, or where Prometheus keeps only classic buckets, of these.
func quantile(q float64, name string, by ...string) string {
	le := append(append([]string{}, by...), "le")
	return fmt.Sprintf("histogram_quantile(%g, %s) or histogram_quantile(%[1]g, %[3]s)",
		q, sum(rate(name), by...), sum(rate(name+"_bucket"), le...))
}

// mean answers the mean of a histogram, for each combination of labels.
func mean(name string, by ...string) string {
	native := sum(rate(name), by...)
	return fmt.Sprintf("histogram_sum(%s) / histogram_count(%[1]s) or %[2]s / %[3]s",
		native, sum(rate(name+"_sum"), by...), sum(rate(name+"_count"), by...))
}

// quantiles are the two curves of a latency. The names of their labels follow in the
// legend.
func quantiles(name string, by ...string) []Query {
	legend := ""
	for _, label := range by {
		legend += " {{" + label + "}}"
	}
	return []Query{
		{Expr: quantile(0.5, name, by...), Legend: "p50" + legend},
		{Expr: quantile(0.99, name, by...), Legend: "p99" + legend},
	}
}

// named puts a name before the legends.
func named(name string, queries []Query) []Query {
	for i := range queries {
		queries[i].Legend = name + " " + queries[i].Legend
	}
	return queries
}
