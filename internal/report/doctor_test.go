package report_test

import (
	"bytes"
	"testing"

	. "massattach/internal/report"
)

func TestDoctor(t *testing.T) {
	d := &Doctor{
		PID: 4211, NSPID: 7, Comm: "a\tserver", CanAttach: true, Cause: "already-traced",
		Threads: &Reachable{Found: 101, Attachable: 99, Zombie: 1, Refused: 1},
		Checks: []Check{
			{Name: "kernel", OK: true, Detail: "Linux 6.18.44"},
			{Name: "priority", OK: true, Warning: true, Detail: "slow", Remedy: "sudo massattach attach 4211"},
			{Name: "tracer", Detail: "1 of 100 threads: already traced by 71 (stra\x1bce)", Remedy: "kill 71"},
		},
		Styles: []Check{
			{Name: "interrupt", OK: true, Detail: "by ptrace"},
			{Name: "notify/task_work", Detail: "no BPF; the next one is chosen", Remedy: "boot Linux 6.18 or newer"},
			{Name: "notify/ptrace", OK: true, Warning: true, Detail: "best-effort"},
		},
		Follow:    []Check{{Name: "scan", OK: true, Detail: "threads are listed again"}},
		FastPaths: []Check{{Name: "tasks", Detail: "no BPF"}},
		Leftovers: []Leftover{{
			PID: 4211, Comm: "a\tserver", State: "t", Threads: 1, TracerPID: 71, Tracer: "stra\x1bce",
			Detail: "1 thread held by 71 (stra\x1bce), which is stopped itself", Remedy: "kill -CONT 71",
		}},
		Effects: []string{"no other debugger can attach to it"},
		Verdict: "99 of 100 threads can be attached to, the others not: already traced by 71 (stra\x1bce)",
	}
	golden(t, "doctor.json", line(t, d))
	golden(t, "doctor.txt", text(t, d.Text, Style{}))

	machine := &Doctor{
		CanAttach: true, Verdict: "any process can be attached to",
		Checks: d.Checks[:1], Styles: d.Styles, Follow: d.Follow, FastPaths: []Check{}, Leftovers: []Leftover{}, Effects: []string{},
	}
	golden(t, "doctor-machine.json", line(t, machine))
	golden(t, "doctor-machine.txt", text(t, machine.Text, Style{}))

	plain, coloured := text(t, d.Text, Style{}), text(t, d.Text, Style{Colour: true})
	if got := strip(coloured); !bytes.Equal(got, plain) || bytes.Equal(coloured, plain) {
		t.Errorf("colours change more than colours, or nothing:\n%s", coloured)
	}
}
