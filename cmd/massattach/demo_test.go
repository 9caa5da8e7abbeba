package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"massattach/attacher"
	"massattach/internal/target"
)

// What keeps a demonstration from its end has one line, and a hint that helps.
func TestDemoDiagnose(t *testing.T) {
	interrupted, cancel := context.WithCancelCause(context.Background())
	cancel(errInterrupted)
	low := func(have int64) error {
		return &target.LimitError{Threads: 5001, Limit: "RLIMIT_NPROC", Have: have, Need: 5100, Fix: "prlimit"}
	}
	for _, tc := range []struct {
		err  error
		code int
		want string // cause, message, hint
	}{
		{fmt.Errorf("target: start: %w", context.Canceled), exitPartial, "interrupted|demo: interrupted; its process has ended|"},
		{low(3000), exitError, "limit|demo: there is no room for 5,000 threads here: RLIMIT_NPROC is 3,000, and would have to be 5,100|" +
			"massattach demo --threads 2900, or as root: prlimit"},
		{low(120), exitError, "limit|demo: there is no room for 5,000 threads here: RLIMIT_NPROC is 120, and would have to be 5,100|as root: prlimit"},
		{fmt.Errorf("target: start: make a thread: %w", syscall.EAGAIN), exitError,
			"limit|demo: there is no room for 5,000 threads here: resource temporarily unavailable|massattach demo --threads 2500"},
		{fmt.Errorf("target: send: %w", target.ErrGone), exitError, "unknown|demo: its process was killed|if memory is scarce, try fewer --threads"},
		{fmt.Errorf("target: %w", errors.ErrUnsupported), exitError, "unknown|demo: this works on Linux only, on amd64 and arm64|"},
		{errors.New("target: reset: no"), exitError, "unknown|demo: reset: no|"},
		{fmt.Errorf("attach 7: %w", &attacher.DeniedError{PID: 7, Threads: 1, Failure: attacher.Failure{
			TID: 7, Errno: syscall.EPERM, Cause: attacher.CauseSeccomp, Detail: "a seccomp filter", Hint: "allow it",
		}}), exitDenied, "seccomp|attach 7: not permitted: a seccomp filter|allow it"},
	} {
		v := &demoVerb{threads: 5000}
		p := v.diagnose(interrupted, tc.err)
		if got := strings.Join([]string{p.cause, p.message, p.hint}, "|"); got != tc.want || p.code != tc.code {
			t.Errorf("%v:\n got %d %s\nwant %d %s", tc.err, p.code, got, tc.code, tc.want)
		}
	}
}
