package dashboard

import (
	"regexp"
	"strings"
)

// A Row is a heading and the panels under it.
type Row struct {
	ID     uint32 // never given to another row or panel
	Title  string
	Panels []Panel
}

// A Kind is how a panel shows what its queries return.
type Kind int

const (
	Lines   Kind = iota // over time
	Stack               // over time, on top of each other
	Heatmap             // of one native histogram, over time
	Number              // the newest values, large
	Table               // the newest values, a column for each query
)

// A Unit is one of Grafana's units.
type Unit string

// The units that are used.
const (
	Seconds Unit = "s"
	Count   Unit = "short"
	Rate    Unit = "cps" // of anything, a second
)

// A Panel is one diagram.
type Panel struct {
	ID      uint32 // never given to another row or panel
	Title   string
	About   string // shown behind the (i)
	Kind    Kind
	Unit    Unit
	Width   uint32 // of 24
	Height  uint32
	Log     bool     // of Lines: a logarithmic axis
	Alarm   *float64 // red from here on
	Queries []Query
}

// A Query is PromQL with Grafana's variables in it.
type Query struct {
	Expr   string
	Legend string // with {{label}}s; of a Table: the title of the column
	Unit   Unit   // of a column of a Table
}

// PromQL answers the query as Grafana sends it: of all targets of all instances, with
// rates taken over window.
func (q Query) PromQL(window string) string {
	return strings.NewReplacer("$__rate_interval", window, "$instance", ".*", "$target", ".*").Replace(q.Expr)
}

var label = regexp.MustCompile(`\{\{(\w+)\}\}`)

// Name answers the legend of a result with these labels.
func (q Query) Name(labels map[string]string) string {
	return label.ReplaceAllStringFunc(q.Legend, func(l string) string { return labels[l[2:len(l)-2]] })
}
