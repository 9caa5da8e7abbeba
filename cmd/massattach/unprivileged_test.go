//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"massattach/internal/report"
	"massattach/internal/target"
	"massattach/stopper/notify"
)

// A user who may trace, and nothing else, stops the standard mix in notify style by
// the mechanism ptrace, and is told what the better one takes; with that it is
// task_work. What the target notices of the former is bounded, and counted.
func TestStopUnprivileged(t *testing.T) {
	needsRoot(t)
	needs(t, has("setpriv", "--version"), "setpriv")
	const less = "massattach: threads may run for a moment when they wake up: can't arrest in the kernel: it takes CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) in the initial user namespace\n"
	for _, tc := range []struct {
		name, caps, mechanism string
		guarantee             notify.Guarantee
		user                  *target.User // of the target
		says                  string
		interrupted           int // at least so many threads
	}{
		{"his own", "+sys_ptrace", notify.Ptrace, notify.BestEffort, &target.User{UID: nobody.Uid, GID: nobody.Gid}, less, 400},
		// Which of them would not notice he may not see.
		{"another's", "+sys_ptrace", notify.Ptrace, notify.BestEffort, nil, less, 0},
		{"task_work", "+sys_ptrace,+bpf,+perfmon", notify.TaskWork, notify.Strict, nil, "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec := target.Mix(1_000)
			spec.User = tc.user
			tg := startTarget(t, spec)
			if tc.mechanism == notify.TaskWork {
				needsTaskWork(t)
			}
			for range 5 {
				before := account(t, tg)
				p := prepare(t, "setpriv", fmt.Sprintf("--reuid=%d", nobody.Uid), fmt.Sprintf("--regid=%d", nobody.Gid), "--clear-groups",
					"--inh-caps=-all,"+tc.caps, "--ambient-caps=-all,"+tc.caps, "--bounding-set=-all,"+tc.caps,
					"massattach", "stop", "--style", "notify", "--format", "json", strconv.Itoa(tg.PID())).start()
				p.ends(exitComplete)
				var r report.Session
				if err := json.Unmarshal([]byte(p.stdout.String()), &r); err != nil {
					t.Fatal(err)
				}
				s := r.Stop
				if s.Mechanism != tc.mechanism || s.Guarantee != string(tc.guarantee) || s.Requested < 1_000 || s.Missed != 0 {
					t.Errorf("%+v", s)
				}
				if p.stderr.String() != tc.says {
					t.Errorf("it says %q", p.stderr.String())
				}
				after := account(t, tg)
				eintr := int(after.EINTR + after.Early - before.EINTR - before.Early)
				t.Logf("EINTR %d, reported %d, repaired %d; interrupted %d, asleep %d", eintr, r.Repair.EINTRLeft, r.Repair.EINTRRepaired, s.BestEffort, s.InKernel)
				if eintr > 10 || eintr > r.Repair.EINTRLeft {
					t.Errorf("%d EINTR of 1,000 threads, %d reported", eintr, r.Repair.EINTRLeft)
				}
				if s.BestEffort < tc.interrupted || tc.interrupted == 0 && s.BestEffort > 10 {
					t.Errorf("%d threads were interrupted", s.BestEffort)
				}
			}
			isFree(t, tg)
			lives(t, tg, false)
		})
	}
}
