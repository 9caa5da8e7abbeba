//go:build linux && (amd64 || arm64)

package notify_test

import (
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
	p := start(t, target.Spec{})
	names, err := p.Calls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, p.PID(), notify.TaskWork)
	const timeout = 1500 * time.Millisecond
	calls := make(map[string]target.TimedCall)
	var tids []int
	for _, name := range names {
		c, err := p.StartCall(t.Context(), name, timeout)
		if err != nil {
			t.Fatal(err)
		}
		calls[name] = c
		if r, err := p.CallResult(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		} else if r.Done {
			t.Logf("%s: %s on this kernel", name, r.Result())
			delete(calls, name)
			continue
		}
		tids = append(tids, c.TID)
	}
	r := trace(t, m, tids, 0)
	r.arm(tids)
	for end := time.Now().Add(timeout + 200*time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
		r.confirm() // some block the signals
	}
	if len(r.held) == 0 {
		t.Error("nobody has come back")
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
}
