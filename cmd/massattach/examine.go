// examine: what each thread does at one moment, without stopping any. Nobody is
// attached to. As with threads, over 50 are counted rather than listed.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/procfs"
	"massattach/stopper"
)

// examineVerb is one run of examine.
type examineVerb struct {
	*tool
	printer *printer
	pids    *pids
	sel     *procfs.Selection
	all     bool
	means   choice
}

func (t *tool) examineCommand() *cobra.Command {
	v := &examineVerb{tool: t, means: choice{among: []string{string(stopper.MeansProc), string(stopper.MeansIterator)}}}
	cmd := &cobra.Command{
		Use:   "examine [flags] PID...",
		Short: "Say what each thread does at one moment, without stopping any",
		Long: `Look at the threads of each process, or at those that are picked: the system call
that each is in, its arguments, and where it left user mode. Nobody is attached to,
stopped or woken; it takes the right to attach all the same. The verdict says whether
what is seen of a thread is of one moment:

  coherent   it has not run between the first look and the last
  ran        it has: there is nothing to be relied on, and nothing shown
  on-cpu     it is on a CPU, or waits for one
  gone       it has ended

Over 50 threads are counted rather than listed, unless --all says so or the format
is json. The exit code is 0 whatever the verdicts are.`,
		Example: `  sudo massattach examine 4211
  sudo massattach examine --syscall epoll_wait --all 4211
  sudo massattach examine --format json --tid 4230 4211 | jq '.threads[0].args'`,
		RunE: v.run,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVar(&v.all, "all", false, "list the threads, however many there are")
	v.sel = addSelection(cmd)
	v.pids = addPIDs(cmd)
	v.printer = newPrinter(t, cmd)
	v.means.add(cmd, "means", "examine many threads by this")
	_ = fs.MarkHidden("means") // it exists
	return cmd
}

func (v *examineVerb) run(cmd *cobra.Command, args []string) error {
	all, err := v.pids.list(args)
	if err == nil && len(all) == 0 {
		err = errors.New("examine needs the number of a process")
	}
	if err == nil {
		if err = v.sel.Validate(); err != nil {
			err = errors.New(strings.TrimPrefix(err.Error(), "procfs: selection: "))
		}
	}
	if err != nil {
		return asUsage(cmd, err)
	}
	for i, pid := range all {
		all[i] = v.resolve(pid)
	}
	return each(unique(all), func(pid int) (int, error) { return v.process(cmd.Context(), pid) })
}

// process examines the threads of one process. An error is one of the output.
func (v *examineVerb) process(ctx context.Context, pid int) (code int, err error) {
	s := exams{verb: v, pid: pid}
	if err := s.examine(ctx); err != nil {
		p := v.refusal(pid, s.comm, err)
		v.notes.problem(p.message, p.hint)
		return p.code, v.printer.fail(p)
	}
	return exitComplete, s.print()
}

// refusal says what err means. Who may not look is told why.
func (v *examineVerb) refusal(pid int, comm string, err error) *problem {
	p := diagnose("examine", pid, comm, err)
	if !errors.Is(err, fs.ErrPermission) {
		return p
	}
	process, perr := attacher.ProcFS{}.Open(pid)
	if perr != nil {
		return p
	}
	defer process.Close()
	facts, perr := process.Facts(pid)
	if perr != nil {
		return p
	}
	o := facts.Refused()
	p.code, p.cause, p.hint = exitDenied, string(o.Cause), o.Hint()
	p.message = fmt.Sprintf("examine %s: not permitted: %s", report.Name(comm, pid), o.Detail)
	return p
}

// exams are those of the threads of one process.
type exams struct {
	verb  *examineVerb
	pid   int
	nspid int // 0 when it is the same
	comm  string
	total int

	list    bool // not only count
	threads []report.Exam
	tallies map[string]report.Tally
	seen    int
}

func (s *exams) examine(ctx context.Context) error {
	p, err := procfs.FS{}.Open(s.pid)
	if err != nil {
		return err
	}
	defer p.Close()
	leader, err := p.Status(s.pid)
	if err != nil {
		return err
	}
	s.comm = leader.Name
	if inner := leader.InnermostPID(); inner != s.pid {
		s.nspid = inner
	}
	if s.total, err = p.NumThreads(); err != nil {
		return err
	}
	s.list = s.verb.all || s.verb.printer.json()
	s.tallies = map[string]report.Tally{"verdict": {}, "state": {}, "syscall": {}, "comm": {}}

	x, err := stopper.NewExaminer(s.pid, &stopper.ExamineOptions{Means: stopper.Means(s.verb.means.value)})
	if err != nil {
		return err
	}
	defer x.Close()
	bar := s.verb.startProgress("examining "+report.Name(s.comm, s.pid), 1)
	bar.expect(s.total)
	defer bar.finish()
	return x.ExamineAll(ctx, *s.verb.sel, func(e *stopper.Exam) error {
		bar.add(1)
		return s.take(p, e)
	})
}

func (s *exams) take(p *procfs.Process, e *stopper.Exam) error {
	s.seen++
	if !s.list && s.seen > listedThreads {
		s.threads = nil
	}
	var wchan string
	if (s.list || s.seen <= listedThreads) && e.Verdict == stopper.Coherent {
		var err error
		if wchan, err = e.Wchan(); err != nil && e.Verdict == stopper.Coherent {
			return err
		}
	}
	r := report.FromExam(e)
	r.Wchan = wchan
	s.tallies["verdict"][r.Verdict]++
	s.tallies["state"][r.State]++
	s.tallies["syscall"][r.Syscall]++
	s.tallies["comm"][r.Comm]++
	if !s.list && s.seen > listedThreads {
		return nil
	}
	if s.nspid != 0 {
		if st, err := p.Status(e.TID); err == nil && st.InnermostPID() != e.TID {
			r.NSTID = st.InnermostPID()
		}
	}
	s.threads = append(s.threads, r)
	return nil
}

func (s *exams) print() error {
	v := s.verb
	if s.list || s.seen <= listedThreads {
		r := &report.Exams{PID: s.pid, NSPID: s.nspid, Comm: s.comm, Threads: s.threads, Tally: s.tallies["verdict"]}
		if r.Threads == nil {
			r.Threads = []report.Exam{}
		}
		if !v.sel.All() {
			r.Total = s.total
		}
		return v.printer.print(r)
	}
	counts := func(by string) report.Counts {
		return report.Counts{PID: s.pid, By: by, Counts: s.tallies[by].Counts(), Comm: s.comm}
	}
	name := report.Name(s.comm, s.pid)
	title := name
	if s.nspid != 0 {
		title += fmt.Sprintf(" (%d in its PID namespace)", s.nspid)
	}
	err := v.printer.write(nil, func(w io.Writer, style report.Style) error {
		return report.TextCounts(w, style, title, s.seen, true, counts("verdict"), counts("state"), counts("syscall"), counts("comm"))
	})
	v.notes.problem(fmt.Sprintf("%s: over %d threads are counted, not listed", name, listedThreads), "--all lists them")
	return err
}
