package stopper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"massattach/internal/bpf"
	"massattach/procfs"
)

// sweep examines many threads by two passes of the iterator: who was off the CPU in
// the first, and has run as often in the second, has not run in between.
func (x *Examiner) sweep(ctx context.Context, it tasks, sel procfs.Selection, namer namer, show func(*Exam) error) error {
	first, second, rest, err := x.passes(it, sel, namer)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(first, func(t bpf.Task) bool { return t.Off() && t.Runs == 0 }) {
		return x.walk(ctx, sel, namer, show) // this kernel keeps no account
	}
	for _, t := range first {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := Exam{TID: t.TID, people: x.people, namer: namer}
		err := e.judge(t, second)
		if err == nil {
			err = show(&e)
		}
		e.close()
		if err != nil {
			return err
		}
	}
	sel.TIDs = rest
	return x.walk(ctx, sel, namer, show)
}

// errCompat says that the records are no use: they have the arguments, and a matcher
// the numbers, of native calls.
var errCompat = fmt.Errorf("the iterator, of a 32-bit program: %w", errors.ErrUnsupported)

// unfit says whether /proc is to be asked instead.
func (x *Examiner) unfit(err error) bool {
	return errors.Is(err, errCompat) && x.means != MeansIterator
}

// passes reads all threads twice. It answers the first records of those that sel
// picks, valid until the next time; the runs that the second had of each; and the
// rest, not nil, of which there is no record.
//
// A pass ends before its time when the thread ends at which it stands. That can't be
// if those who were listed are as many as there are, and live on: so they are
// counted between the passes, and looked for in the second. In doubt the list of
// /proc says who is missing.
func (x *Examiner) passes(it tasks, sel procfs.Selection, namer namer) (picked []bpf.Task, runs map[int]procfs.Schedstat, rest []int, err error) {
	match := sel.Matcher()
	picked, rest = x.records[:0], []int{}
	defer func() { x.records = picked[:0] }()
	runs = make(map[int]procfs.Schedstat, cap(picked))
	for t, err := range it.All() {
		if err != nil {
			return nil, nil, nil, err
		}
		if t.State != 'Z' && t.State != 'X' && namer.Compat(t.TID) {
			return nil, nil, nil, errCompat
		}
		runs[t.TID] = procfs.Schedstat{}
		if match(t.TID, t.Comm, t.State, callOf(t).Nr) {
			picked = append(picked, t)
		}
	}
	listed := len(runs)
	there, err := x.people.NumThreads()
	if errors.Is(err, fs.ErrNotExist) {
		return picked, nil, rest, nil // it has ended since
	}
	whole := err == nil && there <= listed
	seen := 0
	for t, err := range it.All() {
		if err != nil {
			return nil, nil, nil, err
		}
		if _, ok := runs[t.TID]; ok {
			runs[t.TID] = runsOf(t)
			seen++
		}
	}
	if whole && seen == listed {
		return picked, runs, rest, nil
	}
	ids, err := x.people.Pick(procfs.Selection{TIDs: sel.TIDs})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil, err
	}
	for _, id := range ids {
		if _, ok := runs[id.TID]; !ok {
			rest = append(rest, id.TID)
		}
	}
	return picked, runs, rest, nil
}

// judge makes the verdict of a record, by the runs of a later pass.
func (e *Exam) judge(t bpf.Task, later map[int]procfs.Schedstat) error {
	e.Comm, e.State, e.Call, e.mark = t.Comm, t.State, callOf(t), mark{runs: runsOf(t)}
	now := later[t.TID]
	switch {
	case t.State == 'Z' || t.State == 'X':
		return e.settle(ErrGone)
	case !t.Off():
		return e.settle(ErrOnCPU)
	case now.Runs == 0: // gone, or only missing
		err := e.open()
		if err == nil {
			err = e.mark.check(e.task)
		}
		return e.settle(err)
	case now != e.mark.runs:
		return e.settle(ErrRan)
	}
	return e.settle(nil)
}

func runsOf(t bpf.Task) procfs.Schedstat {
	return procfs.Schedstat{Run: t.Ran, Wait: t.Waited, Runs: t.Runs}
}

func callOf(t bpf.Task) procfs.Syscall {
	if !t.Off() {
		return procfs.Syscall{Nr: -1, Running: true}
	}
	return inUser(procfs.Syscall{Nr: t.Call, Args: t.Args, SP: t.SP, PC: t.PC})
}
