// doctor: what attach would meet with, without attaching. A report for each
// process on standard output, and the exit code that attach would have had.

package main

import (
	"github.com/spf13/cobra"

	"massattach/internal/doctor"
	"massattach/internal/report"
)

// doctorVerb is one run of doctor.
type doctorVerb struct {
	*tool
	printer *printer
	pids    *pids
	system  doctor.System
}

func (t *tool) doctorCommand() *cobra.Command {
	v := &doctorVerb{tool: t, system: &doctor.Linux{}}
	cmd := &cobra.Command{
		Use:   "doctor [flags] [PID...]",
		Short: "Say whether attaching can work, and what is in the way",
		Long: `Say of each process whether attach would reach it, and of everything that may be
in the way how it stands, with a command to type where there is one; which styles of
stopping work here, by which mechanisms, and which follow modes; whom another tool has
left stopped; and what a process feels while it is attached. Nobody is attached to.
Without a PID it is about this machine, and about all that stands still on it.

The exit code is the one that attach would have had.`,
		Example: `  massattach doctor
  massattach doctor 4211
  massattach doctor --format json 4211 | jq '.checks[] | select(.ok | not)'`,
		RunE: v.run,
	}
	cmd.Flags().SortFlags = false
	v.pids = addPIDs(cmd)
	v.printer = newPrinter(t, cmd)
	return cmd
}

func (v *doctorVerb) run(cmd *cobra.Command, args []string) error {
	all, err := v.pids.list(args)
	if err != nil {
		return asUsage(cmd, err)
	}
	for i, pid := range all {
		all[i] = v.resolve(pid)
	}
	if all = unique(all); len(all) == 0 {
		all = []int{0}
	}
	return each(all, v.examine)
}

// examine reports on one process. An error is one of the output.
func (v *doctorVerb) examine(pid int) (code int, err error) {
	d, err := doctor.Examine(v.system, pid)
	if err != nil {
		p := diagnose("doctor", pid, "", err)
		v.notes.problem(p.message, p.hint)
		return p.code, v.printer.fail(p)
	}
	return foreseen(d), v.printer.print(d)
}

// foreseen is the exit code that attach would have.
func foreseen(d *report.Doctor) int {
	switch {
	case d.CanAttach && d.Cause == "":
		return exitComplete
	case d.CanAttach:
		return exitPartial
	case d.Cause == doctor.CauseKernel, d.Cause == doctor.CauseLimit, d.Cause == doctor.CauseProc:
		return exitError
	}
	return exitDenied
}
