//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"massattach/internal/doctor"
	"massattach/internal/report"
	"massattach/internal/target"
	"massattach/stopper/notify"
)

// situation is a process, and a massattach, between which something stands, or
// nothing.
type situation struct {
	pid  string   // "$$" for massattach's own, "$PPID" for its parent's
	via  []string // what massattach is started by
	user bool     // it runs as nobody
}

// nobody is a user without capabilities.
var nobody = &syscall.Credential{Uid: 65534, Gid: 65534}

// run runs a verb in the situation, and answers what it wrote to standard output
// and its exit code.
func (s situation) run(t *testing.T, verb ...string) (stdout []byte, code int) {
	t.Helper()
	path, err := exec.LookPath("massattach")
	if err != nil {
		t.Fatal(err)
	}
	if publicDir != "" {
		path = filepath.Join(publicDir, "massattach") // which anybody may run
	}
	args := slices.Concat(s.via, []string{path}, verb, []string{s.pid})
	if strings.HasPrefix(s.pid, "$") {
		args = slices.Concat(s.via, []string{"sh", "-c", "exec " + path + " " + strings.Join(verb, " ") + " " + s.pid})
	}
	program, err := exec.LookPath(args[0])
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(program, args[1:]...)
	cmd.Args[0] = args[0]
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if s.user {
		cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Credential: nobody}, publicDir
	}
	err = cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	t.Logf("%s: %v\n%s", verb[0], cmd.ProcessState, errs.Bytes()) // seen when the test fails
	return out.Bytes(), cmd.ProcessState.ExitCode()
}

// foreseenReport is the part of doctor's report that attach's is compared with.
type foreseenReport struct {
	PID       int    `json:"pid"`
	NSPID     int    `json:"ns_pid"`
	CanAttach bool   `json:"can_attach"`
	Cause     string `json:"cause"`
	Threads   struct{ Found, Attachable, Zombie, Refused int }
	Checks    []struct {
		Name, Detail, Remedy string
		OK                   bool
	}
	Leftovers []struct{ Detail, Remedy, State, Tracer string }
	Error     *struct{ Cause string }
}

// happenedReport is the same of attach's.
type happenedReport struct {
	PID      int `json:"pid"`
	NSPID    int `json:"ns_pid"`
	Threads  struct{ Found, Attached, Zombie, Failed int }
	Failures []struct{ Cause string }
	Error    *struct{ Cause string }
}

// foresight runs doctor and then attach, whose answers must agree.
func (s situation) foresight(t *testing.T) (d foreseenReport, code int) {
	t.Helper()
	var a happenedReport
	var acode int
	for range 5 {
		d, a = foreseenReport{}, happenedReport{}
		out, c := s.run(t, "doctor", "--format", "json")
		if err := json.Unmarshal(out, &d); err != nil {
			t.Fatalf("doctor: exit %d, %q: %v", c, out, err)
		}
		code = c
		out, acode = s.run(t, "attach", "--for", "0s", "--format", "json")
		if err := json.Unmarshal(out, &a); err != nil {
			t.Fatalf("attach: exit %d, %q: %v", acode, out, err)
		}
		if d.Threads.Found == a.Threads.Found || !d.CanAttach {
			break
		}
		// Go has made a thread more in between.
	}
	cause := ""
	switch {
	case a.Error != nil:
		cause = a.Error.Cause
	case len(a.Failures) > 0:
		cause = a.Failures[0].Cause
	}
	foreseen := d.Cause
	if d.Error != nil {
		foreseen = d.Error.Cause
	}
	if code != acode || foreseen != cause {
		t.Errorf("doctor foresees exit %d, cause %q; attach has exit %d, cause %q", code, foreseen, acode, cause)
	}
	if d.Error == nil {
		if d.CanAttach != (a.Error == nil) || d.NSPID != a.NSPID {
			t.Errorf("doctor: %+v\nattach: %+v", d, a)
		}
		if d.CanAttach && (d.Threads.Found != a.Threads.Found || d.Threads.Attachable != a.Threads.Attached ||
			d.Threads.Zombie != a.Threads.Zombie || d.Threads.Refused != a.Threads.Failed) {
			t.Errorf("doctor: %+v\nattach: %+v", d.Threads, a.Threads)
		}
	}
	return d, code
}

// check is the remedy of a check that must have failed.
func (d foreseenReport) check(t *testing.T, name string) (remedy string) {
	t.Helper()
	for _, c := range d.Checks {
		if c.Name == name {
			if c.OK {
				t.Errorf("%s is fine: %s", name, c.Detail)
			}
			return c.Remedy
		}
	}
	t.Errorf("no check %s", name)
	return ""
}

// needs skips what this machine can't show, and fails in CI, where it has to.
func needs(t *testing.T, ok bool, what string) {
	t.Helper()
	if !ok && inCI() {
		t.Fatal("needs", what)
	} else if !ok {
		t.Skip("needs", what)
	}
}

func needsRoot(t *testing.T) { t.Helper(); needs(t, os.Geteuid() == 0, "root") }

// needsTaskWork wants notify style's mechanism of that name.
func needsTaskWork(t *testing.T) {
	t.Helper()
	if ok, _ := condition(notify.TaskWork); !ok {
		t.Skip("needs the mechanism task_work")
	}
}

// has says whether a program can be run, and does something.
func has(args ...string) bool { return exec.Command(args[0], args[1:]...).Run() == nil }

func pid(tg *target.Target) string { return strconv.Itoa(tg.PID()) }

// Case 57 on this machine: in each situation doctor foresees what attach then
// meets with, and says what to do about it. Yama has its turn in package doctor,
// by a fake.
func TestForesight(t *testing.T) {
	const notPermitted = exitDenied
	ours := func(t *testing.T) string { return pid(startTarget(t, target.Spec{Epoll: 20})) }
	theirs := func(t *testing.T) string {
		needsRoot(t)
		return pid(startTarget(t, target.Spec{Epoll: 20, User: &target.User{UID: nobody.Uid, GID: nobody.Gid}}))
	}
	bare := []string{"setpriv", "--inh-caps=-all", "--bounding-set=-all"}
	for _, tc := range []struct {
		name   string
		setup  func(t *testing.T) situation
		code   int
		cause  string
		check  string // that has failed
		remedy string // part of what is to be typed; PID stands for the process
	}{
		{"nothing in the way", func(t *testing.T) situation { return situation{pid: ours(t)} }, exitComplete, "", "", ""},
		{"root, and another user's", func(t *testing.T) situation { return situation{pid: theirs(t)} }, exitComplete, "", "", ""},
		{"a user, and his own", func(t *testing.T) situation { return situation{pid: theirs(t), user: true} }, exitComplete, "", "", ""},
		{"other user", func(t *testing.T) situation {
			needsRoot(t)
			return situation{pid: ours(t), user: true}
		}, notPermitted, "other-user", "user", "sudo massattach attach PID"},
		{"no capability", func(t *testing.T) situation {
			needsRoot(t)
			needs(t, has("setpriv", "--version"), "setpriv")
			return situation{pid: ours(t), via: bare}
		}, notPermitted, "no-capability", "capability", "docker run --cap-add SYS_PTRACE"},
		{"no capability, other user", func(t *testing.T) situation {
			needs(t, has("setpriv", "--version"), "setpriv")
			return situation{pid: theirs(t), via: bare}
		}, notPermitted, "no-capability", "capability", "docker run --cap-add SYS_PTRACE"},
		{"not dumpable", func(t *testing.T) situation {
			needsRoot(t)
			return situation{pid: strconv.Itoa(other(t, nobody, "undumpable").Process.Pid), user: true}
		}, notPermitted, "not-dumpable", "dumpable", "sudo massattach attach PID"},
		{"not dumpable, and root", func(t *testing.T) situation {
			needsRoot(t)
			return situation{pid: strconv.Itoa(other(t, nobody, "undumpable").Process.Pid)}
		}, exitComplete, "", "", ""},
		{"seccomp", func(t *testing.T) situation {
			return situation{pid: ours(t), via: []string{"sealed", "ptrace", "EPERM"}}
		},
			notPermitted, "seccomp", "seccomp", "docker run --cap-add SYS_PTRACE"},
		{"seccomp, ENOSYS", func(t *testing.T) situation {
			return situation{pid: ours(t), via: []string{"sealed", "ptrace", "ENOSYS"}}
		},
			notPermitted, "seccomp", "seccomp", "docker run --cap-add SYS_PTRACE"},
		{"seccomp with ptrace", func(t *testing.T) situation {
			return situation{pid: ours(t), via: []string{"sealed", "swapon", "EPERM"}}
		},
			exitComplete, "", "", ""},
		{"seccomp with ptrace, which denies the question", func(t *testing.T) situation {
			return situation{pid: ours(t), via: []string{"sealed", "process_vm_readv", "EPERM"}}
		}, exitComplete, "", "", ""},
		{"seccomp with ptrace, which kills for the question", func(t *testing.T) situation {
			return situation{pid: ours(t), via: []string{"sealed", "process_vm_readv", "kill"}}
		}, exitComplete, "", "", ""},
		{"gdb", func(t *testing.T) situation {
			needs(t, has("gdb", "--version"), "gdb")
			tg := startTarget(t, target.Spec{Epoll: 20})
			underGDB(t, tg)
			return situation{pid: pid(tg)}
		}, notPermitted, "already-traced", "tracer", "kill "},
		{"user namespace", func(t *testing.T) situation {
			needs(t, has("unshare", "--user", "--map-root-user", "true"), "unshare, and the right to make a user namespace")
			return situation{pid: ours(t), via: []string{"unshare", "--user", "--map-root-user"}}
		}, notPermitted, "user-namespace", "user-namespace", "sudo massattach attach PID"},
		{"user namespace of ours", func(t *testing.T) situation {
			needs(t, has("unshare", "--user", "--map-root-user", "true"), "unshare, and the right to make a user namespace")
			cmd := other(t, nil, "unshare", "--user", "--map-root-user", "sh", "-c", "echo ready; read line")
			return situation{pid: strconv.Itoa(cmd.Process.Pid)}
		}, exitComplete, "", "", ""},
		{"kernel thread", func(t *testing.T) situation {
			needsRoot(t)
			_, err := os.Readlink("/proc/2/exe")
			needs(t, err != nil, "a kernel thread with the number 2") // not in a PID namespace
			return situation{pid: "2"}
		}, notPermitted, "kernel-thread", "process", "leave it out"},
		{"oneself", func(*testing.T) situation { return situation{pid: "$$"} }, notPermitted, "self", "process", ""},
		{"our tracer", func(t *testing.T) situation {
			needs(t, has("strace", "-V"), "strace")
			return situation{pid: "$PPID", via: []string{"strace", "-f", "-o", "/dev/null", "-e", "trace=none"}}
		}, notPermitted, "unknown", "access", "leave it alone"},
		{"our parent", func(t *testing.T) situation {
			needTracing(t)
			return situation{pid: "$PPID", via: []string{"sh", "-c", `"$@"; exit $?`, "sh"}}
		}, exitComplete, "", "", ""},
		{"another's /proc", func(t *testing.T) situation {
			needsRoot(t)
			needs(t, has("unshare", "--pid", "--fork", "true"), "unshare")
			return situation{pid: ours(t), via: []string{"unshare", "--pid", "--fork"}}
		}, exitError, doctor.CauseProc, "", ""},
		{"PID namespace", func(t *testing.T) situation {
			needsRoot(t)
			needs(t, has("unshare", "--pid", "--fork", "true"), "unshare")
			cmd := other(t, nil, "unshare", "--pid", "--fork", "sh", "-c", "echo ready; read line")
			return situation{pid: strconv.Itoa(childrenOf(t, cmd.Process.Pid)[0])}
		}, exitComplete, "", "", ""},
		{"zombie leader", func(t *testing.T) situation {
			return situation{pid: pid(startTarget(t, target.Spec{Epoll: 20, ZombieLeader: true}))}
		}, exitComplete, "", "", ""},
		{"threads of several users", func(t *testing.T) situation {
			needsRoot(t)
			return situation{pid: strconv.Itoa(other(t, nil, "motley").Process.Pid), user: true}
		}, exitPartial, "other-user", "user", "sudo massattach attach PID"},
		{"threads of several users, and root", func(t *testing.T) situation {
			needsRoot(t)
			return situation{pid: strconv.Itoa(other(t, nil, "motley").Process.Pid)}
		}, exitComplete, "", "", ""},
		{"io_uring worker", func(t *testing.T) situation {
			_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 0, 0, 0)
			needs(t, errno != unix.ENOSYS && errno != unix.EPERM, "io_uring")
			return situation{pid: strconv.Itoa(other(t, nil, "uring").Process.Pid)}
		}, exitComplete, "", "", ""},
		{"nobody", func(*testing.T) situation { return situation{pid: "999999999"} }, exitNoProcess, causeNoProcess, "", ""},
		{"a zombie", func(t *testing.T) situation {
			cmd := exec.Command("true")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Wait() })
			eventually(t, "it has ended", func() bool { st, _ := status(cmd.Process.Pid, cmd.Process.Pid); return st.State == 'Z' })
			return situation{pid: strconv.Itoa(cmd.Process.Pid)}
		}, exitNoProcess, causeNoProcess, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tc.setup(t)
			d, code := s.foresight(t)
			cause := d.Cause
			if d.Error != nil {
				cause = d.Error.Cause
			}
			if code != tc.code || cause != tc.cause {
				t.Errorf("exit %d, cause %q; want %d, %q\n%+v", code, cause, tc.code, tc.cause, d)
			}
			if tc.check != "" {
				want := strings.ReplaceAll(tc.remedy, "PID", strconv.Itoa(d.PID))
				if remedy := d.check(t, tc.check); !strings.Contains(remedy, want) {
					t.Errorf("remedy %q, want %q", remedy, want)
				}
			}
			if tc.name == "PID namespace" && d.NSPID != 1 {
				t.Errorf("it is %d in its PID namespace", d.NSPID)
			}
		})
	}
}

// A filter that kills for ptrace does not get doctor.
func TestForesightKilled(t *testing.T) {
	tg := startTarget(t, target.Spec{Epoll: 20})
	s := situation{pid: pid(tg), via: []string{"sealed", "ptrace", "kill"}}
	out, code := s.run(t, "doctor", "--format", "json")
	var d foreseenReport
	if err := json.Unmarshal(out, &d); err != nil || code != exitDenied || d.Cause != "seccomp" {
		t.Errorf("exit %d, %s: %v", code, out, err)
	}
	// And it would have got attach, which has no code for it.
	if out, code := s.run(t, "attach", "--for", "0s", "--format", "json"); code != -1 || len(out) != 0 {
		t.Errorf("attach: exit %d, %s", code, out)
	}
	isFree(t, tg)
}

// The exit codes of what can't be set up here.
func TestForeseen(t *testing.T) {
	for _, tc := range []struct {
		can   bool
		cause string
		want  int
	}{
		{true, "", exitComplete},
		{true, "already-traced", exitPartial},
		{false, "yama", exitDenied},
		{false, "unknown", exitDenied},
		{false, doctor.CauseKernel, exitError},
		{false, doctor.CauseLimit, exitError},
		{false, doctor.CauseProc, exitError},
	} {
		if got := foreseen(&report.Doctor{CanAttach: tc.can, Cause: tc.cause}); got != tc.want {
			t.Errorf("%v, %q: exit %d, want %d", tc.can, tc.cause, got, tc.want)
		}
	}
}
