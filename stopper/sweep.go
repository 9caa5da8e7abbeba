package stopper

import (
	"context"
	"errors"
	"io/fs"

	"massattach/internal/bpf"
	"massattach/procfs"
)

// sweep examines many threads by two passes of the iterator: who was off the CPU in
// the first, and has run as often in the second, has not run in between.
//
// A pass may lack threads, because one ends while it is read: /proc is asked for
// those.
func (x *Examiner) sweep(ctx context.Context, it tasks, sel procfs.Selection, namer namer, show func(*Exam) error) error {
	match := sel.Matcher()
	var listed []int
	first := x.records[:0]
	defer func() { x.records = first }()
	for t, err := range it.All() {
		if err != nil {
			return err
		}
		if t.Off() && t.Runs == 0 {
			return x.walk(ctx, sel, namer, show) // this kernel keeps no account
		}
		listed = append(listed, t.TID)
		if match(t.TID, t.Comm, t.State, callOf(t).Nr) {
			first = append(first, t)
		}
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
	return x.missed(ctx, sel, listed, namer, show)
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

// missed examines by /proc who is there and was not in the pass.
func (x *Examiner) missed(ctx context.Context, sel procfs.Selection, listed []int, namer namer, show func(*Exam) error) error {
	n, err := x.people.NumThreads()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // it has ended since
	case err == nil && n <= len(listed):
		return nil
	}
	seen := make(map[int]bool, len(listed))
	for _, tid := range listed {
		seen[tid] = true
	}
	ids, err := x.people.Pick(procfs.Selection{TIDs: sel.TIDs})
	if err != nil {
		return err
	}
	rest := []int{} // none is not nil, which is all
	for _, id := range ids {
		if !seen[id.TID] {
			rest = append(rest, id.TID)
		}
	}
	sel.TIDs = rest
	return x.walk(ctx, sel, namer, show)
}
