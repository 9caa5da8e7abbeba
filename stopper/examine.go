package stopper

import (
	"context"
	"errors"

	"massattach/attacher"
	"massattach/procfs"
)

// Examine is [Examiner.Examine], for once.
func Examine(ctx context.Context, pid, tid int, f func(*Exam) error) error {
	return examining(pid, func(x *Examiner) error { return x.Examine(ctx, tid, f) })
}

// ExamineAll is [Examiner.ExamineAll], for once.
func ExamineAll(ctx context.Context, pid int, sel procfs.Selection, f func(*Exam) error) error {
	return examining(pid, func(x *Examiner) error { return x.ExamineAll(ctx, sel, f) })
}

func examining(pid int, f func(*Examiner) error) error {
	x, err := NewExaminer(pid, nil)
	if err != nil {
		return err
	}
	return errors.Join(f(x), x.Close())
}

// Examine is [Examiner.Examine] for a thread of the session's process, whether it is
// held or not. One that is held does not run: of it the error is never [ErrRan].
func (st *Stopper) Examine(ctx context.Context, tid int, f func(*Exam) error) error {
	x, err := st.examiner()
	if err != nil {
		return err
	}
	return x.Examine(ctx, tid, f)
}

// ExamineAll is [Examiner.ExamineAll] for the session's process.
func (st *Stopper) ExamineAll(ctx context.Context, sel procfs.Selection, f func(*Exam) error) error {
	x, err := st.examiner()
	if err != nil {
		return err
	}
	return x.ExamineAll(ctx, sel, f)
}

// examiner answers the one of the session, which is closed with it.
func (st *Stopper) examiner() (*Examiner, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := st.over(); err != nil {
		return nil, err
	}
	if st.exam != nil {
		return st.exam, nil
	}
	x, err := NewExaminer(st.session.PID(), nil)
	if err != nil {
		return nil, err
	}
	if err := st.over(); err != nil { // the number may have been another's
		return nil, errors.Join(err, x.Close())
	}
	st.exam = x
	go func() {
		select {
		case <-st.session.Closed():
		case <-st.session.Ended():
		}
		_ = x.Close()
	}()
	return x, nil
}

// over says whether the session has been closed, or its process has ended.
func (st *Stopper) over() error {
	switch {
	case st.session.IsClosed():
		return st.failed(attacher.ErrClosed)
	case isOver(st.session.Ended()):
		return st.failed(attacher.ErrGone)
	}
	return nil
}

// pick is the session's Select, by the iterator if that is loaded.
func (st *Stopper) pick(sel procfs.Selection) ([]int, error) {
	st.mu.Lock()
	x := st.exam
	st.mu.Unlock()
	if x != nil {
		if tids, ok := x.selectQuickly(sel); ok {
			return tids, nil
		}
	}
	return st.session.Select(sel)
}

func isOver(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
