package attacher

import (
	"errors"
	"io/fs"
	"slices"
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
		{"traced from another PID namespace", with(func(f *Facts) { f.State = 't' }), CauseAlreadyTraced, "another PID namespace"},
		{"traced, and another's", with(func(f *Facts) { f.TracerTID, f.SameUser = 71, false }), CauseAlreadyTraced, ""},
		{"other user", with(func(f *Facts) { f.SameUser, f.UID = false, 0 }), CauseOtherUser, "user 0"},
		{"other user, yama as well", with(func(f *Facts) { f.SameUser, f.Yama = false, 2 }), CauseOtherUser, ""},
		{"other user, root in a container", with(func(f *Facts) { f.SameUser, f.OurUID = false, 0 }), CauseNoCapability, "root without CAP_SYS_PTRACE"},
		{"capabilities", with(func(f *Facts) { f.MoreCaps = true }), CauseNoCapability, ""},
		{"not dumpable", with(func(f *Facts) { f.Dumpable = false }), CauseNotDumpable, ""},
		{"yama 1", with(func(f *Facts) { f.Yama = 1 }), CauseYama, "scope is 1"},
		{"yama 2", with(func(f *Facts) { f.Yama = 2 }), CauseYama, "scope is 2"},
		{"yama 2, a child", with(func(f *Facts) { f.Yama, f.Descendant = 2, true }), CauseYama, "scope is 2"},
		{"yama 3", with(func(f *Facts) { f.Yama = 3 }), CauseYama, "until the next boot"},
		{"yama 3, root", with(func(f *Facts) { f.Yama, f.Privileged = 3, true }), CauseYama, "until the next boot"},
		{"user namespace", with(func(f *Facts) { f.SameUserNS = false }), CauseUserNamespace, ""},
		{"user namespace, other user", with(func(f *Facts) { f.SameUserNS, f.SameUser = false, false }), CauseUserNamespace, ""},
		{"seccomp", with(func(f *Facts) { f.Seccomp, f.Filtered = true, true }), CauseSeccomp, ""},
		{"seccomp, yama, root", with(func(f *Facts) { f.Yama, f.Privileged, f.Seccomp, f.Filtered = 1, true, true, true }), CauseSeccomp, ""},
	} {
		o := explain(syscall.EPERM, tc.facts)
		if o.Cause != tc.want || !strings.Contains(o.Detail, tc.detail) {
			t.Errorf("%s: %s, %q; want %s", tc.name, o.Cause, o.Detail, tc.want)
		}
		if o.Hint() == "" {
			t.Errorf("%s: no hint", tc.name)
		}
		if strings.Contains(o.Hint()+o.Detail, "\n") {
			t.Errorf("%s: more than a line", tc.name)
		}
		// What is certain is foreseen, and by the same words.
		if all := tc.facts.Obstacles(); len(all) == 0 || all[0] != o {
			t.Errorf("%s: foreseen is %+v, explained %+v", tc.name, all, o)
		}
	}
	if o := explain(syscall.EIO, free); o.Cause != CauseUnknown {
		t.Errorf("EIO: %s", o.Cause)
	}
	// The errno of a filter is its author's choice.
	if o := explain(syscall.ENOSYS, with(func(f *Facts) { f.Filtered = true })); o.Cause != CauseSeccomp {
		t.Errorf("ENOSYS by a filter: %s", o.Cause)
	}
}

// What the facts don't tell is explained when it has happened, and foreseen only
// by the kernel's own word.
func TestExplainUnknown(t *testing.T) {
	for _, tc := range []struct {
		privileged bool
		want       Cause
	}{{false, CauseNoCapability}, {true, CauseUnknown}} {
		f := Facts{TID: 7, State: 'S', SameUser: true, SameUserNS: true, Dumpable: true, Yama: -1, Privileged: tc.privileged}
		o := explain(syscall.EPERM, f)
		if o.Cause != tc.want || o.Hint() == "" {
			t.Errorf("privileged %v: %+v, want %s", tc.privileged, o, tc.want)
		}
		if all := f.Obstacles(); all != nil {
			t.Errorf("privileged %v: %+v is foreseen of nothing", tc.privileged, all)
		}
		f.Access = AccessDenied
		if all := f.Obstacles(); len(all) != 1 || all[0] != o {
			t.Errorf("privileged %v, denied: %+v", tc.privileged, all)
		}
	}
}

// What the kernel grants is granted, whatever the facts look like; and what has
// nothing to do with access stays in the way.
// A look is refused for want of access, and never because somebody traces the
// thread or it is one of ours.
func TestRefused(t *testing.T) {
	f := Facts{TID: 7, State: 't', Self: true, TracerTID: 71, OurUID: 1000, SameUserNS: true, Dumpable: true, Yama: -1}
	if o := f.Refused(); o.Cause != CauseOtherUser || o.Hint() == "" {
		t.Errorf("%+v", o)
	}
	f.SameUser = true
	if o := f.Refused(); o.Cause != CauseNoCapability || o.Detail == "" {
		t.Errorf("%+v", o)
	}
	f.Privileged = true
	if o := f.Refused(); o.Cause != CauseUnknown || o.Detail == "" {
		t.Errorf("%+v", o)
	}
}

func TestObstaclesGranted(t *testing.T) {
	f := Facts{TID: 7, State: 'S', UID: 5, OurUID: 6, Yama: 1, MoreCaps: true, Access: AccessGranted}
	if all := f.Obstacles(); all != nil {
		t.Errorf("%+v", all)
	}
	f.TracerTID = 71
	if all := f.Obstacles(); len(all) != 1 || all[0].Cause != CauseAlreadyTraced {
		t.Errorf("%+v", all)
	}
	// Without a word of the kernel's all of it is listed.
	f.Access = AccessUnknown
	var causes []Cause
	for _, o := range f.Obstacles() {
		causes = append(causes, o.Cause)
	}
	want := []Cause{CauseAlreadyTraced, CauseUserNamespace, CauseOtherUser, CauseNoCapability, CauseNotDumpable, CauseYama}
	if !slices.Equal(causes, want) {
		t.Errorf("%v, want %v", causes, want)
	}
	// A child of ours, in Yama's first scope; another's memory is not ours by that.
	f = Facts{SameUser: true, SameUserNS: true, Dumpable: true, Yama: 1, Descendant: true}
	if all := f.Obstacles(); all != nil {
		t.Errorf("a child: %+v", all)
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
