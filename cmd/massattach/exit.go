// What went wrong, in one place: its exit code, its line, its hint, and its
// form in JSON.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"massattach/attacher"
	"massattach/internal/doctor"
	"massattach/internal/report"
	"massattach/procfs"
)

// The exit codes are a contract; the help and the README list them.
const (
	exitComplete  = 0
	exitError     = 1
	exitUsage     = 2
	exitPartial   = 3
	exitNoProcess = 4
	exitDenied    = 5
)

// exitCode is the error of a verb that has said all there was to say.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit %d", int(c)) }

// usageError is the error of who used the command in a wrong way.
type usageError struct{ message, hint string }

func (e *usageError) Error() string { return e.message }

// exit says what is still to be said about err, and answers the exit code.
func (t *tool) exit(err error) int {
	if err == nil {
		return exitComplete
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitComplete // nobody wants to read on
	}
	if e, ok := errors.AsType[*writeError](err); ok {
		t.notes.problem(e.Error(), "")
		return exitError
	}
	usage, ok := errors.AsType[*usageError](err)
	if !ok {
		// Only the parser's own errors come here.
		usage = &usageError{err.Error(), "massattach --help"}
	}
	t.notes.problem(usage.message, usage.hint)
	return exitUsage
}

// each does something for one process after the other. The error is the exit code
// for all of them, or one of the output, which ends it.
func each(pids []int, do func(pid int) (code int, err error)) error {
	var codes []int
	for _, pid := range pids {
		code, err := do(pid)
		if err != nil {
			return err
		}
		codes = append(codes, code)
	}
	if code := common(codes); code != exitComplete {
		return exitCode(code)
	}
	return nil
}

// common is the exit code for several processes: theirs, when they agree.
func common(codes []int) int {
	for _, c := range codes {
		if c != codes[0] {
			return exitPartial
		}
	}
	return codes[0]
}

// The reasons for which an attach is broken off.
var (
	errDeadline    = errors.New("deadline")
	errInterrupted = errors.New("interrupted")
)

// problem is why a verb could do nothing for one process.
type problem struct {
	code    int
	pid     int
	op      string
	cause   string // as in the JSON contract, or one of the words below
	message string // a line, the process's name included
	hint    string
}

// Causes beside those of package attacher.
const (
	causeNoProcess   = "no-such-process"
	causeDeadline    = "deadline"
	causeInterrupted = "interrupted"
	causeLimit       = "limit" // of the machine, too low for a demonstration
)

func (p *problem) failed() *report.Failed {
	return &report.Failed{PID: p.pid, Error: report.Error{Op: p.op, Cause: p.cause, Hint: p.hint}}
}

// diagnose says what err means, which kept op from being done to a process.
func diagnose(op string, pid int, comm string, err error) *problem {
	p := &problem{code: exitError, pid: pid, op: op, cause: string(attacher.CauseUnknown)}
	why := err.Error()
	denied, isDenied := errors.AsType[*attacher.DeniedError](err)
	switch {
	case isDenied:
		f := denied.Failure
		p.cause, p.hint = string(f.Cause), f.Hint
		why = f.Detail
		if why == "" {
			why = f.Errno.Error()
		}
		// A seccomp filter answers with any errno, ENOSYS for one.
		if f.Cause != attacher.CauseUnknown || errors.Is(err, fs.ErrPermission) {
			p.code = exitDenied
			why = "not permitted: " + why
		}
	case errors.Is(err, attacher.ErrGone), errors.Is(err, fs.ErrNotExist):
		p.code, p.cause, why = exitNoProcess, causeNoProcess, "no such process"
		if comm != "" {
			why = "it has ended"
		}
	case errors.Is(err, fs.ErrPermission):
		p.code, p.cause, why = exitDenied, string(attacher.CauseOtherUser), "not permitted: /proc hides it from other users"
		p.hint = "run it as that user or as root: sudo massattach …"
	case errors.Is(err, errDeadline):
		p.cause, why = causeDeadline, "not done within the deadline; all were let go"
	case errors.Is(err, attacher.ErrForeignProc):
		p.cause, why = doctor.CauseProc, "this /proc has the numbers of another PID namespace"
		p.hint = "mount one of this namespace: sudo mount -t proc proc /proc"
	case errors.Is(err, errors.ErrUnsupported):
		why = "this works on Linux only"
	}
	p.message = fmt.Sprintf("%s %s: %s", op, report.Name(comm, pid), oneLine(why))
	return p
}

// tooLate is the problem of an attach that was not done within the deadline.
func tooLate(pid int, comm string, deadline time.Duration, reached, of int) *problem {
	p := diagnose("attach", pid, comm, errDeadline)
	p.message = fmt.Sprintf("attach %s: not done within %v: %s of %s; all were let go",
		report.Name(comm, pid), deadline, report.Number(reached), report.Plural(max(of, reached), "thread"))
	p.hint = fmt.Sprintf("--deadline %v gives it more time", max(time.Minute, 4*deadline))
	return p
}

// resolve is the number of the process that pid is, or is a thread of; then it
// says so.
func (t *tool) resolve(pid int) int {
	tgid, err := procfs.FS{}.TGID(pid)
	if err != nil || tgid == pid {
		return pid
	}
	t.notes.say("%d is a thread of %s: taking the whole process", pid, report.Name(processName(tgid), tgid))
	return tgid
}

// processName is the name of a process, "" if there is none.
func processName(pid int) string {
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		return ""
	}
	defer p.Close()
	comm, err := p.Comm(pid)
	if err != nil {
		return ""
	}
	return comm
}

// broken is why ctx was ended, if it is that which err says.
func broken(ctx context.Context, err error) error {
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return context.Cause(ctx)
}

// alone says whether err is one error: what ended an attach, and none that came
// with letting go.
func alone(err error) bool {
	several, ok := err.(interface{ Unwrap() []error })
	return !ok || len(several.Unwrap()) == 1
}

// oneLine is the text of an error, which may be several joined ones.
func oneLine(s string) string { return strings.Join(strings.FieldsFunc(s, isNewline), "; ") }

func isNewline(r rune) bool { return r == '\n' }
