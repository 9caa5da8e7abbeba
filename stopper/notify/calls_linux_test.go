//go:build linux && (amd64 || arm64)

package notify_test

import (
	"slices"
	"testing"
	"time"

	"massattach/internal/target"
	"massattach/stopper/notify"
)

// Of the calls of the table none shows anything, though nothing is repaired here:
// neither those that sleep through the arrest, nor those whose time is over during it,
// which come back from the kernel, and stop.
func TestCalls(t *testing.T) {
	needTaskWork(t)
	for timeout := 1500 * time.Millisecond; !testCalls(t, timeout); timeout *= 2 {
		if timeout > 10*time.Second {
			t.Fatalf("the calls are not armed within half of %v", timeout)
		}
	}
}

// testCalls says whether it could be done with a time-out: none of the calls may be over
// before they are armed.
func testCalls(t *testing.T, timeout time.Duration) bool {
	p := start(t, target.Spec{})
	names, err := p.Calls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, p.PID(), notify.TaskWork)
	calls := make(map[string]target.TimedCall)
	var tids, timed []int
	began := time.Now()
	for _, name := range names {
		c, err := p.StartCall(t.Context(), name, timeout)
		if err != nil {
			t.Fatal(err)
		}
		calls[name] = c
		got, err := p.CallResult(t.Context(), c.ID)
		switch {
		case err != nil:
			t.Fatal(err)
		case got.Done:
			t.Logf("%s: %s on this kernel", name, got.Result())
			delete(calls, name)
			continue
		case got.Want != "":
			timed = append(timed, c.TID)
		}
		tids = append(tids, c.TID)
	}
	r := trace(t, m, tids, 0)
	r.arm(tids)
	if took := time.Since(began); took > timeout/2 {
		t.Logf("the calls of %v are armed only after %v", timeout, took)
		r.release(tids)
		r.end()
		p.Close()
		return false
	}
	eventually(t, "those have come back whose time is over", func() bool {
		r.confirm() // some block the signals
		return !slices.ContainsFunc(timed, func(tid int) bool {
			_, held := r.held[tid]
			return !held
		})
	})
	if len(timed) == 0 {
		t.Error("no call has a time-out")
	}
	t.Logf("%d calls, of which %d have come back", len(calls), len(r.held))
	r.release(tids)
	for name, c := range calls {
		var got target.CallResult
		done := func() bool {
			r.collect()
			if got, err = p.CallResult(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
			return got.Done
		}
		switch done(); {
		case got.Want == "" && got.Done:
			t.Errorf("%s returned %s", name, got.Result())
		case got.Want != "":
			if !got.Done {
				eventually(t, name+" returns", done)
			}
			if got.Result() != got.Want || !got.MaskSame {
				t.Errorf("%s returned %s, want %s; mask the same: %v", name, got.Result(), got.Want, got.MaskSame)
			}
		}
	}
	return true
}
