package attacher_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"massattach/attacher"
	"massattach/internal/target"
)

// nobody is a user without capabilities.
var nobody = &target.User{UID: 65534, GID: 65534}

// setUID makes a program that runs as root whoever starts it.
func setUID(t testing.TB) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a set-uid program")
	}
	program, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "massattach") // that of the test is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "sleep")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{dir: 0o755, path: 0o755 | os.ModeSetuid} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// effectiveUID is whose rights a process has.
func effectiveUID(t testing.TB, pid int) (uid int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(status), "\nUid:")
	var real int
	if _, err := fmt.Sscan(line, &real, &uid); err != nil {
		t.Fatal(err)
	}
	return uid
}

// Case 42: a set-uid program that a traced process execs gains the rights that
// it would gain untraced, if the tracer might trace it with those; else it runs
// without (security/commoncap.c, ptracer_capable).
func TestExecSetUID(t *testing.T) {
	path := setUID(t)
	for _, test := range []struct {
		name   string
		tracer *target.User // nil: nobody traces it
		want   int
	}{
		{"untraced", nil, 0},
		{"tool has CAP_SYS_PTRACE", &target.User{}, 0},
		{"tool has not", nobody, int(nobody.UID)},
	} {
		for _, leader := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/leader=%v", test.name, leader), func(t *testing.T) {
				p := start(t, target.Spec{Epoll: 20, Futex: 20, User: nobody})
				var o *tool
				if test.tracer != nil {
					o = startTool(t, p.PID(), test.tracer)
					o.attached(t)
				}
				tid := p.PID()
				if !leader {
					tid = oneOf(t, p, target.KindFutex, 5)
				}
				inTime(t, p, "the exec", func() error {
					return execIn(t.Context(), p, target.Exec{TID: tid, Argv: []string{path, "1000"}})
				})
				// Past its report of the exec, that is.
				eventually(t, "it sleeps", func() bool { return lookAt(t, p.PID()).states['S'] == 1 })
				got := effectiveUID(t, p.PID())
				if test.tracer == nil && got != 0 {
					t.Skip("set-uid programs gain nothing here: no_new_privs, or a file system that is mounted nosuid")
				}
				if got != test.want {
					t.Errorf("it runs as user %d, not %d", got, test.want)
				}
				if o != nil {
					if r := o.detach(t); r.Events.Execs != 1 || r.Ended {
						t.Errorf("%+v", r)
					}
				}
				free(t, p.PID())
			})
		}
	}
}

// Case 58: a process that has gained rights is refused by name, also when it has
// gained them between the list of its threads and the first SEIZE.
func TestAttachSetUID(t *testing.T) {
	t.Run("before", func(t *testing.T) { testAttachSetUID(t, false) })
	t.Run("meanwhile", func(t *testing.T) { testAttachSetUID(t, true) })
}

func testAttachSetUID(t *testing.T, meanwhile bool) {
	path := setUID(t)
	p := start(t, target.Spec{Epoll: 20, User: nobody})
	var o *tool
	if meanwhile {
		o = startTool(t, p.PID(), nobody, envToolPause+"=yes")
		o.report(t)
	}
	if err := execIn(t.Context(), p, target.Exec{Argv: []string{path, "1000"}}); err != nil {
		t.Fatal(err)
	}
	if effectiveUID(t, p.PID()) != 0 {
		t.Skip("set-uid programs gain nothing here")
	}
	if meanwhile {
		if _, err := o.in.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	} else {
		o = startTool(t, p.PID(), nobody)
	}
	if r := o.report(t); r.Error == "" || r.Denied != attacher.CauseOtherUser && r.Denied != attacher.CauseNoCapability && r.Denied != attacher.CauseNotDumpable {
		t.Errorf("%+v", r)
	}
	free(t, p.PID())
	if err := syscall.Kill(p.PID(), 0); err != nil {
		t.Error(err)
	}
}
