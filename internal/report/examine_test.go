package report_test

import (
	"io"
	"testing"

	. "massattach/internal/report"
)

func TestExams(t *testing.T) {
	exams := &Exams{
		PID: 4211, NSPID: 1, Comm: "server", Total: 10_001,
		Tally: Tally{"coherent": 2, "on-cpu": 1, "ran": 1, "gone": 1},
		Threads: []Exam{
			{TID: 4211, NSTID: 1, Comm: "server", State: "R", Args: []uint64{}, Verdict: "on-cpu"},
			{
				TID: 4230, NSTID: 2, Comm: "a\nb", State: "S", Syscall: "epoll_wait", Wchan: "do_epoll_wait",
				Args: []uint64{5, 0x7ffd_1234_5678, 128, 0xffff_ffff, 0, 1<<64 - 1}, PC: 0x401234, SP: 0x7ffd_1234_5000, Verdict: "coherent",
			},
			{TID: 4231, NSTID: 3, Comm: "faults", State: "D", Args: []uint64{}, PC: 0x401234, SP: 0x7ffd_1234_5000, Verdict: "coherent"},
			{TID: 4232, Comm: ">ü", State: "S", Args: []uint64{}, Verdict: "ran"},
			{TID: 4233, NSTID: 5, Args: []uint64{}, Verdict: "gone"},
		},
	}
	golden(t, "exams.txt", text(t, exams.Text, Style{}))
	golden(t, "exams.json", line(t, exams))
	none := &Exams{PID: 4211, Comm: "server", Total: 101, Threads: []Exam{}}
	golden(t, "exams-none.txt", text(t, none.Text, Style{}))
	if got := string(line(t, none)); got != `{"pid":4211,"threads":[]}`+"\n" {
		t.Error(got)
	}
	verdicts := Counts{PID: 4211, By: "verdict", Counts: exams.Tally.Counts()}
	golden(t, "exams-counts.txt", text(t, func(w io.Writer, s Style) error {
		return TextCounts(w, s, "server[4211]", 5, true, verdicts)
	}, Style{}))
}
