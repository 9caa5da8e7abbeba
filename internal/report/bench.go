package report

import "slices"

// Bench is the report of a benchmark: what was measured, on what machine, and how it
// compares.
type Bench struct {
	Machine Machine `json:"machine"`
	Noise   Noise   `json:"noise"`
	// Cases say what was measured, in the order of the report.
	Cases []BenchCase `json:"cases"`
	// Peers are the other tools: those that were found, and those that were not.
	Peers  []Peer   `json:"peers"`
	Cells  []Cell   `json:"cells"`
	Ratios []Ratio  `json:"ratios"`
	Growth []Growth `json:"growth"`
	// Profiles say where the time goes where a ratio to the bare loop is high.
	Profiles []Profile `json:"profiles"`
	// Interrupted: it was broken off, and this is what was done until then.
	Interrupted bool  `json:"interrupted"`
	ElapsedNS   int64 `json:"elapsed_ns"`
}

// Machine is where it ran.
type Machine struct {
	Kernel  string `json:"kernel"`
	Arch    string `json:"arch"`
	CPU     string `json:"cpu"`
	CPUs    int    `json:"cpus"`
	Memory  int64  `json:"memory_bytes"`
	Root    bool   `json:"root"`
	Go      string `json:"go"`
	Version string `json:"version"` // of massattach
	Time    string `json:"time"`    // RFC 3339
	// Load is how many threads were running when it began, beside its own.
	Load int `json:"load"`
}

// Noise is what the machine does to a figure when nothing changes.
type Noise struct {
	// Median, Low and High are the ratio of a bare attach to the same bare attach, run
	// by turns: a ratio of others between Low and High is no difference.
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Runs   int     `json:"runs"`
	// PauseSeconds is the longest time for which a spinning thread did not run while
	// nobody did anything, in windows of WindowSeconds: the median of them and the worst.
	PauseSeconds    float64 `json:"pause_seconds"`
	PauseMaxSeconds float64 `json:"pause_max_seconds"`
	WindowSeconds   float64 `json:"window_seconds"`
	// ProcessSeconds is what it takes to run the command so that it does nothing.
	ProcessSeconds float64 `json:"process_seconds"`
}

// The kinds of cases: figures of whole processes, from their start to their end, and
// figures that are taken within this one are never compared with each other.
const (
	InProcess    = "in-process"
	WholeProcess = "process"
)

// BenchCase is a thing that was measured.
type BenchCase struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Kind  string `json:"kind"` // in-process, process
	// Figure is the one that is compared, and how it grows is fitted where it is a time.
	Figure string `json:"figure"`
	// Why says what ours does beyond the bare loop. Absent where there is nothing to say.
	Why string `json:"why,omitempty"`
	// More: a larger figure is better.
	More bool `json:"more,omitempty"`
}

// Peer is another tool.
type Peer struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Settings string `json:"settings"`
	// Absent says why it was not run; empty when it was.
	Absent string `json:"absent,omitempty"`
}

// The outcomes of a cell.
const (
	OutcomeOK      = "ok"
	OutcomeTimeout = "timeout"
	OutcomeRefused = "refused"
	OutcomeAbsent  = "absent"
)

// Names of subjects and figures that the report knows.
const (
	SubjectOurs      = "massattach"
	SubjectRaw       = "raw"
	SubjectUntouched = "untouched"

	FigureSeconds = "seconds" // that it took
	FigureCPU     = "cpu"     // seconds of it
	FigureMemory  = "memory"  // bytes, at the most
	FigurePause   = "pause"   // seconds for which a spinning thread did not run
	FigureEINTR   = "eintr"   // calls of the target that failed with it
	FigureEarly   = "early"   // calls that came back too early for another reason
	FigureKept    = "kept"    // part of an untraced rate
	FigureRate    = "rate"    // a second
	FigureShare   = "share"   // part of one CPU
)

// Cell is one figure of one subject. With an outcome other than ok there is none.
type Cell struct {
	Case    string  `json:"case"`
	N       int     `json:"n"` // threads of the target
	Subject string  `json:"subject"`
	Figure  string  `json:"figure"`
	Median  float64 `json:"median"`
	Min     float64 `json:"min"`
	Max     float64 `json:"max"`
	Runs    int     `json:"runs"`
	Outcome string  `json:"outcome"`
	// Detail says why there is no figure; absent when there is one.
	Detail string `json:"detail,omitempty"`
	// Samples are the figures of the runs, in their order.
	Samples []float64 `json:"samples,omitempty"`
}

// Ratio is the median of the ratios run by run, with the interval that holds it in 95
// of 100 times.
type Ratio struct {
	Case   string  `json:"case"`
	N      int     `json:"n"`
	Of     string  `json:"of"`
	To     string  `json:"to"`
	Figure string  `json:"figure"`
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	// None: the difference is within the noise of the machine.
	None bool `json:"none"`
}

// Growth is the exponent of a power of the number of threads, with its interval (95 %).
type Growth struct {
	Case     string  `json:"case"`
	Subject  string  `json:"subject"`
	Exponent float64 `json:"exponent"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
}

// Profile says in which functions of ours the CPU time of a case goes.
type Profile struct {
	Case    string `json:"case"`
	N       int    `json:"n"`
	Samples int    `json:"samples"`
	Top     []Hot  `json:"top"`
}

// Hot is a function, with those that it calls outside of this module.
type Hot struct {
	Function string  `json:"function"`
	Share    float64 `json:"share"`
}

// Cell answers the cell of a figure.
func (b *Bench) Cell(kase string, n int, subject, figure string) (Cell, bool) {
	i := slices.IndexFunc(b.Cells, func(c Cell) bool {
		return c.Case == kase && c.N == n && c.Subject == subject && c.Figure == figure
	})
	if i < 0 {
		return Cell{}, false
	}
	return b.Cells[i], true
}

// Ratio answers the ratio of massattach to another subject in a figure.
func (b *Bench) Ratio(kase string, n int, to, figure string) (Ratio, bool) {
	return b.ratio(kase, n, SubjectOurs, to, figure)
}

func (b *Bench) ratio(kase string, n int, of, to, figure string) (Ratio, bool) {
	i := slices.IndexFunc(b.Ratios, func(r Ratio) bool {
		return r.Case == kase && r.N == n && r.Of == of && r.To == to && r.Figure == figure
	})
	if i < 0 {
		return Ratio{}, false
	}
	return b.Ratios[i], true
}

// Sizes are the numbers of threads at which a case was measured, and Subjects those
// that it was measured of, in the order of the cells.
func (b *Bench) Sizes(kase string) (ns []int) {
	for _, c := range b.Cells {
		if c.Case == kase && !slices.Contains(ns, c.N) {
			ns = append(ns, c.N)
		}
	}
	slices.Sort(ns)
	return ns
}

// Subjects: see Sizes.
func (b *Bench) Subjects(kase string) (names []string) {
	for _, c := range b.Cells {
		if c.Case == kase && !slices.Contains(names, c.Subject) {
			names = append(names, c.Subject)
		}
	}
	return names
}

// Figures are those of a case beside the one that is compared.
func (b *Bench) Figures(kase BenchCase) (names []string) {
	for _, c := range b.Cells {
		if c.Case == kase.Name && c.Figure != kase.Figure && !slices.Contains(names, c.Figure) {
			names = append(names, c.Figure)
		}
	}
	return names
}
