package report

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"massattach/stopper"
)

// Exams is what the threads of one process did when they were examined.
type Exams struct {
	PID     int    `json:"pid"`
	NSPID   int    `json:"ns_pid,omitempty"` // as in Session
	Threads []Exam `json:"threads"`

	Comm  string `json:"-"` // of the process
	Total int    `json:"-"` // threads that it has, if these are not all
	Tally Tally  `json:"-"` // how many there are of each verdict
}

// Exam is what one thread did. All of it is of one moment, if the verdict is
// "coherent"; else there is no call, and PC and SP are 0.
type Exam struct {
	TID     int      `json:"tid"`
	NSTID   int      `json:"ns_tid,omitempty"` // in its own PID namespace; absent when it is the same
	Comm    string   `json:"comm"`
	State   string   `json:"state"`
	Syscall string   `json:"syscall"` // "" in user mode
	Wchan   string   `json:"wchan"`
	Args    []uint64 `json:"args"` // six, none without a call
	PC      uint64   `json:"pc"`   // in user mode
	SP      uint64   `json:"sp"`
	Verdict string   `json:"verdict"`
}

// FromExam is e as it is reported, without Wchan.
func FromExam(e *stopper.Exam) Exam {
	r := Exam{
		TID: e.TID, Comm: e.Comm, Syscall: e.Syscall(), Args: []uint64{},
		PC: e.Call.PC, SP: e.Call.SP, Verdict: string(e.Verdict),
	}
	if e.State != 0 {
		r.State = string(rune(e.State))
	}
	if e.Call.Nr >= 0 {
		r.Args = slices.Clone(e.Call.Args[:])
	}
	return r
}

// verdicts are those of package stopper, as they are told and in this order.
var verdicts = []struct {
	verdict stopper.Verdict
	words   string
}{
	{stopper.Coherent, "coherent"},
	{stopper.OnCPU, "on a CPU"},
	{stopper.Ran, "ran meanwhile"},
	{stopper.Gone, "gone"},
}

func verdictWords(verdict string) string {
	for _, v := range verdicts {
		if string(v.verdict) == verdict {
			return v.words
		}
	}
	return verdict
}

// Verdicts is the summary of how many there are of each verdict.
func (t Tally) Verdicts() string {
	var counts []count
	for _, v := range verdicts {
		counts = append(counts, count{t[string(v.verdict)], v.words})
	}
	return list("none", counts...)
}

// Text writes the list for people.
func (l *Exams) Text(w io.Writer, style Style) error {
	var b bytes.Buffer
	b.WriteString(heading(style, l.Comm, l.PID, len(l.Threads), l.Total))
	if len(l.Threads) > 0 {
		fmt.Fprintf(&b, ": %s\n\n", l.Tally.Verdicts())
		l.table().write(&b, style)
	} else {
		b.WriteString("\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (l *Exams) table() *table {
	inner := numbers(slices.ContainsFunc(l.Threads, func(e Exam) bool { return e.NSTID != 0 }))
	t := &table{heads: inner.heads("STATE", "VERDICT", "SYSCALL", "WAITS IN", ">PC", ">SP", "NAME", "ARGUMENTS")}
	for _, e := range l.Threads {
		var args []string
		for _, a := range e.Args {
			args = append(args, argument(a))
		}
		t.add(append(inner.cells(e.TID, e.NSTID), orDash(stateName(e.State)), verdictWords(e.Verdict), orDash(e.Syscall), orDash(e.Wchan),
			address(e.PC), address(e.SP), orDash(Quote(e.Comm)), strings.Join(args, " "))...)
	}
	return t
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func address(a uint64) string {
	if a == 0 {
		return "-"
	}
	return fmt.Sprintf("%#x", a)
}

// argument is one of a system call, whose type nobody knows here: small ones are
// numbers, also those below 0, the others may be addresses or flags.
func argument(a uint64) string {
	const small = 1 << 12
	switch {
	case a < small:
		return fmt.Sprint(a)
	case a > math.MaxUint64-small:
		return fmt.Sprint(int64(a))
	case a > math.MaxUint32-small && a <= math.MaxUint32:
		return fmt.Sprint(int32(a)) // an int that the program has not extended
	}
	return fmt.Sprintf("%#x", a)
}
