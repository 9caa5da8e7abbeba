package stopper

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"massattach/internal/bpf"
	"massattach/procfs"
)

// sweep examines many threads by two passes of the iterator: who was off the CPU in
// the first, and has run as often in the second, has not run in between.
func (x *Examiner) sweep(ctx context.Context, it tasks, sel procfs.Selection, namer namer, show func(*Exam) error) error {
	first, rest, err := x.pass(it, sel)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(first, func(t bpf.Task) bool { return t.Off() && t.Runs == 0 }) {
		return x.walk(ctx, sel, namer, show) // this kernel keeps no account
	}
	second := make(map[int]procfs.Schedstat, len(first))
	for t, err := range it.All() {
		if err != nil {
			return err
		}
		second[t.TID] = runsOf(t)
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

// pass reads all threads once and answers the records of those that sel picks; they
// are valid until the next pass. It may lack threads, because one ended while it was
// read: rest are those, and it is not nil.
func (x *Examiner) pass(it tasks, sel procfs.Selection) (picked []bpf.Task, rest []int, err error) {
	match := sel.Matcher()
	picked, rest = x.records[:0], []int{}
	defer func() { x.records = picked[:0] }()
	listed := make(map[int]bool, cap(picked))
	for t, err := range it.All() {
		if err != nil {
			return nil, nil, err
		}
		listed[t.TID] = true
		if match(t.TID, t.Comm, t.State, callOf(t).Nr) {
			picked = append(picked, t)
		}
	}
	n, err := x.people.NumThreads()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return picked, rest, nil // it has ended since
	case err == nil && n <= len(listed):
		return picked, rest, nil
	}
	ids, err := x.people.Pick(procfs.Selection{TIDs: sel.TIDs})
	for _, id := range ids {
		if !listed[id.TID] {
			rest = append(rest, id.TID)
		}
	}
	return picked, rest, err
}

// judge makes the verdict of a record, by the runs of a later pass.
func (e *Exam) judge(t bpf.Task, later map[int]procfs.Schedstat) error {
	e.Comm, e.State, e.Call, e.mark = t.Comm, t.State, callOf(t), mark{runs: runsOf(t)}
	now, ok := later[t.TID]
	switch {
	case t.State == 'Z' || t.State == 'X':
		return e.settle(ErrGone)
	case !t.Off():
		return e.settle(ErrOnCPU)
	case !ok: // gone, or missing
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
	return procfs.Syscall{Nr: t.Call, Args: t.Args, SP: t.SP, PC: t.PC}
}
