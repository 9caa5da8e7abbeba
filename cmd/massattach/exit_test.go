package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"massattach/attacher"
)

// Each error has one code, one cause and one line.
func TestDiagnose(t *testing.T) {
	denied := func(errno syscall.Errno, c attacher.Cause, detail, hint string) error {
		return fmt.Errorf("attach 1: %w", &attacher.DeniedError{PID: 1, Threads: 101, Failure: attacher.Failure{
			TID: 7, Errno: errno, Cause: c, Detail: detail, Hint: hint,
		}})
	}
	for _, tc := range []struct {
		comm string
		err  error
		code int
		want string // cause, message, hint
	}{
		{"x", denied(syscall.EPERM, attacher.CauseYama, "kernel.yama.ptrace_scope is 1", "sudo"), exitDenied,
			"yama|attach x[1]: not permitted: kernel.yama.ptrace_scope is 1|sudo"},
		{"x", denied(syscall.EPERM, attacher.CauseUnknown, "", ""), exitDenied,
			"unknown|attach x[1]: not permitted: operation not permitted|"},
		{"x", denied(syscall.ENOSYS, attacher.CauseUnknown, "", ""), exitError,
			"unknown|attach x[1]: function not implemented|"},
		{"", fmt.Errorf("attach 1: %w", attacher.ErrGone), exitNoProcess, "no-such-process|attach 1: no such process|"},
		{"x", fmt.Errorf("attach 1: %w", attacher.ErrGone), exitNoProcess, "no-such-process|attach x[1]: it has ended|"},
		{"", fs.ErrPermission, exitDenied,
			"other-user|attach 1: not permitted: /proc hides it from other users|run it as that user or as root: sudo massattach …"},
		{"", errors.ErrUnsupported, exitError, "unknown|attach 1: this works on Linux only|"},
		{"", errors.Join(errors.New("one"), errors.New("two")), exitError, "unknown|attach 1: one; two|"},
	} {
		p := diagnose("attach", 1, tc.comm, tc.err)
		if got := p.cause + "|" + p.message + "|" + p.hint; got != tc.want || p.code != tc.code {
			t.Errorf("%v:\n got %d %s\nwant %d %s", tc.err, p.code, got, tc.code, tc.want)
		}
	}
}

// broken tells our own endings from errors that only look like them.
func TestBroken(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errInterrupted)
	if err := broken(ctx, fmt.Errorf("attach: %w", context.Canceled)); !errors.Is(err, errInterrupted) {
		t.Error(err)
	}
	if err := broken(ctx, attacher.ErrGone); err != nil {
		t.Error(err)
	}
	if !alone(errors.Join(context.Canceled, nil)) || alone(errors.Join(context.Canceled, io.EOF)) {
		t.Error("alone miscounts")
	}
}

// Output that nobody reads on is no error, any other that fails is one.
func TestExit(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, exitComplete},
		{exitCode(exitPartial), exitPartial},
		{&writeError{&fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}}, exitComplete},
		{&writeError{&fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}}, exitError},
		{&writeError{os.ErrClosed}, exitError},
		{&usageError{"no", "yes"}, exitUsage},
		{errors.New("the parser says so"), exitUsage},
	} {
		tl := &tool{notes: newNotes(io.Discard)}
		if got := tl.exit(tc.err); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.err, got, tc.want)
		}
		tl.notes.close()
	}
}
