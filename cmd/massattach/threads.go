// threads: what /proc says, without ptrace. Up to 50 threads of a process are
// listed, more are counted, unless --all or --by says otherwise; json always
// lists, because a program that gets no list can't ask for it.

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"massattach/internal/report"
	"massattach/procfs"
)

const (
	listedThreads   = 50 // more are counted
	listedProcesses = 20
)

// threadsVerb is one run of threads.
type threadsVerb struct {
	*tool
	printer *printer
	pids    *pids
	sel     *procfs.Selection
	all     bool
	by      choice
}

func (t *tool) threadsCommand() *cobra.Command {
	v := &threadsVerb{tool: t, by: choice{among: []string{"state", "comm", "syscall"}}}
	cmd := &cobra.Command{
		Use:   "threads [flags] [PID...]",
		Short: "List the threads of a process, without attaching",
		Long: `List the threads of each process, and what each of them waits for, as /proc has
it: nobody is attached to. Over 50 threads are counted rather than listed, unless
--all says so or the format is json. Without a PID the processes that have the
most threads are listed.`,
		Example: `  massattach threads
  massattach threads 4211
  massattach threads --by syscall 4211
  massattach threads --state D --all 4211`,
		RunE: v.run,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVar(&v.all, "all", false, "list the threads (or processes), however many there are")
	v.by.add(cmd, "by", "count the threads by this, don't list them")
	v.sel = addSelection(cmd)
	v.pids = addPIDs(cmd)
	v.printer = newPrinter(t, cmd)
	return cmd
}

func (v *threadsVerb) run(cmd *cobra.Command, args []string) error {
	all, err := v.pids.list(args)
	if err == nil {
		err = v.sel.Validate()
		if err != nil {
			err = errors.New(strings.TrimPrefix(err.Error(), "procfs: selection: "))
		}
	}
	if err == nil && v.all && v.by.value != "" {
		err = errors.New("--all lists the threads, --by counts them: one of the two")
	}
	if err == nil && len(all) == 0 && (v.by.value != "" || !v.sel.All()) {
		err = errors.New("to count or pick threads takes the number of a process")
	}
	if err != nil {
		return asUsage(cmd, err)
	}
	if len(all) == 0 {
		return v.processes()
	}
	for i, pid := range all {
		all[i] = v.resolve(pid)
	}
	return each(unique(all), v.process)
}

// process lists or counts the threads of one process. An error is one of the
// output.
func (v *threadsVerb) process(pid int) (code int, err error) {
	fail := func(comm string, err error) (int, error) {
		p := diagnose("threads", pid, comm, err)
		if p.code == exitDenied && comm != "" {
			p.message = fmt.Sprintf("threads %s: not permitted to see their system calls", report.Name(comm, pid))
		}
		v.notes.problem(p.message, p.hint)
		return p.code, v.printer.fail(p)
	}
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		return fail("", err)
	}
	defer p.Close()
	leader, err := p.Status(pid)
	if err != nil {
		return fail("", err)
	}
	total, err := p.NumThreads()
	if err != nil {
		return fail(leader.Name, err)
	}
	l := look{
		verb: v, p: p, pid: pid, comm: leader.Name, total: total,
		list: v.all || v.by.value == "" && (v.printer.json() || total <= listedThreads),
	}
	// A few picked ones are listed.
	l.maybe = !l.list && v.by.value == "" && !v.sel.All()
	if inner := leader.InnermostPID(); inner != pid {
		l.nspid = inner
	}
	err = l.read()
	if errors.Is(err, fs.ErrPermission) && l.seen > 0 {
		// Some were decided on; the rest could not be.
		code = exitPartial
		v.notes.problem(fmt.Sprintf("threads %s: not permitted to see the system calls of some", report.Name(l.comm, pid)), rootHint)
	} else if err != nil {
		return fail(l.comm, err)
	}
	if l.denied > 0 {
		v.notes.problem(fmt.Sprintf("threads %s: not permitted to see what %s", report.Name(l.comm, pid),
			waits(l.denied)), rootHint)
	}
	return code, l.print()
}

const rootHint = "run it as that user or as root: sudo massattach …"

func waits(n int) string {
	if n == 1 {
		return "1 thread waits for"
	}
	return report.Number(n) + " threads wait for"
}

// look is one look at the threads of a process.
type look struct {
	verb  *threadsVerb
	p     *procfs.Process
	pid   int
	nspid int // 0 when it is the same
	comm  string
	total int

	list  bool // not count
	maybe bool // list if there are few

	threads []report.Thread // when listed
	tallies map[string]report.Tally
	seen    int // threads
	denied  int // of them: whose system call is not for us to see
}

// details are what is to be read of each thread.
func (l *look) details() procfs.Detail {
	switch l.verb.by.value {
	case "state":
		return procfs.DetailState
	case "comm":
		return procfs.DetailComm
	case "syscall":
		return procfs.DetailSyscall
	}
	if l.list || l.maybe {
		return procfs.DetailAll
	}
	return procfs.DetailComm | procfs.DetailState | procfs.DetailSyscall
}

func (l *look) read() error {
	bar := l.verb.startProgress("looking at "+report.Name(l.comm, l.pid), 1)
	bar.expect(l.total)
	defer bar.finish()
	l.tallies = map[string]report.Tally{"state": {}, "syscall": {}, "comm": {}}
	for t, err := range l.p.Threads(*l.verb.sel, l.details()) {
		if err != nil {
			return err
		}
		bar.add(1)
		l.take(t)
	}
	return nil
}

func (l *look) take(t procfs.Thread) {
	l.seen++
	th := report.FromProc(t)
	call := th.Syscall
	if t.Unreadable&procfs.DetailSyscall != 0 {
		l.denied++
		call = report.Unreadable
	}
	l.tallies["state"][th.State]++
	l.tallies["syscall"][call]++
	l.tallies["comm"][th.Comm]++
	if !l.list && (!l.maybe || l.seen > listedThreads) {
		l.threads = nil
		return
	}
	if l.nspid != 0 {
		if st, err := l.p.Status(t.TID); err == nil && st.InnermostPID() != t.TID {
			th.NSTID = st.InnermostPID()
		}
	}
	l.threads = append(l.threads, th)
}

func (l *look) print() error {
	v := l.verb
	if by := v.by.value; by != "" {
		c := l.counts(by)
		return v.printer.write(c, func(w io.Writer, s report.Style) error {
			return report.TextCounts(w, s, l.name(), l.seen, false, c)
		})
	}
	if l.list || l.maybe && l.seen <= listedThreads {
		r := &report.Threads{PID: l.pid, NSPID: l.nspid, Comm: l.comm, Threads: l.threads}
		if r.Threads == nil {
			r.Threads = []report.Thread{}
		}
		if !v.sel.All() {
			r.Total = l.total
		}
		return v.printer.print(r)
	}
	err := v.printer.write(nil, func(w io.Writer, s report.Style) error {
		return report.TextCounts(w, s, l.name(), l.seen, true,
			l.counts("state"), l.counts("syscall"), l.counts("comm"))
	})
	v.notes.problem(fmt.Sprintf("%s: over %d threads are counted, not listed", report.Name(l.comm, l.pid), listedThreads),
		"--all lists them, --by state, --by comm or --by syscall counts them all")
	return err
}

// name is how the process is called above counts.
func (l *look) name() string {
	name := report.Name(l.comm, l.pid)
	if l.nspid != 0 {
		name += fmt.Sprintf(" (%d in its PID namespace)", l.nspid)
	}
	return name
}

func (l *look) counts(by string) report.Counts {
	return report.Counts{PID: l.pid, By: by, Counts: l.tallies[by].Counts(), Comm: l.comm}
}

// processes lists those that have the most threads.
func (v *threadsVerb) processes() error {
	n := listedProcesses + 1 // we are one ourselves
	if v.all {
		n = 0
	}
	top, err := procfs.FS{}.Top(n)
	if err != nil {
		v.notes.problem(err.Error(), "")
		return exitCode(exitError)
	}
	top = slices.DeleteFunc(top, func(p procfs.ProcessInfo) bool { return p.PID == os.Getpid() })
	if !v.all {
		several := slices.IndexFunc(top, func(p procfs.ProcessInfo) bool { return p.Threads == 1 })
		if several > 0 {
			top = top[:several] // the others say nothing
		}
		top = top[:min(len(top), listedProcesses)]
	}
	users := make(map[int]string)
	list := make([]report.Process, 0, len(top))
	for _, p := range top {
		if _, known := users[p.UID]; !known {
			users[p.UID] = userName(p.UID)
		}
		list = append(list, report.Process{
			PID: p.PID, Comm: p.Comm, State: string(rune(p.State)),
			UID: p.UID, User: users[p.UID], ThreadCount: p.Threads,
		})
	}
	if !v.printer.json() {
		return v.printer.write(nil, func(w io.Writer, s report.Style) error {
			return report.TextProcesses(w, s, list)
		})
	}
	for _, p := range list {
		if err := v.printer.write(p, nil); err != nil {
			return err
		}
	}
	return nil
}

// userName is the name of a user, or else the number.
func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}
