package attacher

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// Case 57: one named cause each.
func TestExplain(t *testing.T) {
	// Nothing in the way: another process of the same user.
	free := Facts{TID: 7, State: 'S', UID: 1000, OurUID: 1000, SameUser: true, SameUserNS: true, Dumpable: true, Yama: -1}
	with := func(change func(*Facts)) Facts {
		f := free
		change(&f)
		return f
	}
	for _, tc := range []struct {
		name   string
		facts  Facts
		want   Cause
		detail string
	}{
		{"self", with(func(f *Facts) { f.Self = true }), CauseSelf, ""},
		{"our tracer", with(func(f *Facts) { f.TracesUs = true }), CauseUnknown, "traces this very process"},
		{"kernel thread", with(func(f *Facts) { f.KernelThread = true }), CauseKernelThread, ""},
		{"traced", with(func(f *Facts) { f.TracerTID, f.TracerPID, f.TracerComm = 71, 70, "strace" }), CauseAlreadyTraced, "70 (strace)"},
		{"traced by who knows", with(func(f *Facts) { f.TracerTID = 71 }), CauseAlreadyTraced, "thread 71"},
		{"traced, and another's", with(func(f *Facts) { f.TracerTID, f.SameUser = 71, false }), CauseAlreadyTraced, ""},
		{"other user", with(func(f *Facts) { f.SameUser, f.UID = false, 0 }), CauseOtherUser, "user 0"},
		{"other user, yama as well", with(func(f *Facts) { f.SameUser, f.Yama = false, 2 }), CauseOtherUser, ""},
		{"capabilities", with(func(f *Facts) { f.MoreCaps = true }), CauseNoCapability, ""},
		{"not dumpable", with(func(f *Facts) { f.Dumpable = false }), CauseNotDumpable, ""},
		{"yama 1", with(func(f *Facts) { f.Yama = 1 }), CauseYama, "scope is 1"},
		{"yama 2", with(func(f *Facts) { f.Yama = 2 }), CauseYama, "scope is 2"},
		{"yama 3, root", with(func(f *Facts) { f.Yama, f.Privileged = 3, true }), CauseYama, "until the next boot"},
		{"yama 1, root, seccomp", with(func(f *Facts) { f.Yama, f.Privileged, f.Seccomp = 1, true, true }), CauseSeccomp, ""},
		{"user namespace", with(func(f *Facts) { f.SameUserNS = false }), CauseUserNamespace, ""},
		{"user namespace, root in ours", with(func(f *Facts) { f.SameUserNS, f.Privileged = false, true }), CauseUserNamespace, ""},
		{"seccomp", with(func(f *Facts) { f.Seccomp = true }), CauseSeccomp, ""},
		{"nothing known", free, CauseNoCapability, ""},
		{"nothing known, root", with(func(f *Facts) { f.Privileged = true }), CauseUnknown, ""},
	} {
		cause, detail, hint := explain(syscall.EPERM, tc.facts)
		if cause != tc.want || !strings.Contains(detail, tc.detail) {
			t.Errorf("%s: %s, %q; want %s", tc.name, cause, detail, tc.want)
		}
		if hint == "" {
			t.Errorf("%s: no hint", tc.name)
		}
		if strings.Contains(hint+detail, "\n") {
			t.Errorf("%s: more than a line", tc.name)
		}
	}
	if cause, _, _ := explain(syscall.EIO, free); cause != CauseUnknown {
		t.Errorf("EIO: %s", cause)
	}
}

func TestDeniedError(t *testing.T) {
	err := error(&DeniedError{PID: 5, Threads: 3, Failure: Failure{TID: 6, Errno: syscall.EPERM, Cause: CauseYama, Detail: "why"}})
	if !errors.Is(err, fs.ErrPermission) || !errors.Is(err, syscall.EPERM) {
		t.Errorf("%v is no permission error", err)
	}
	if want := "attach 5: seize thread 6: operation not permitted: why"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}
