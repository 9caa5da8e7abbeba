//go:build linux && (amd64 || arm64)

package target_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/internal/target"
)

// gone waits until no process has that id, zombies included.
func gone(t *testing.T, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("process %d to be gone", pid), func() bool {
		return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	})
}

// status reads a line of /proc/PID/status, of a process or a thread.
func status(t *testing.T, pid, tid int, name string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	t.Fatalf("no %s in the status of %d", name, tid)
	return ""
}

func TestCloseLeavesNothing(t *testing.T) {
	p := start(t, target.Spec{Sem: 1, Parent: target.ParentWatch})
	a, err := p.Close()
	if err != nil {
		t.Fatal(err)
	}
	gone(t, p.PID())
	gone(t, p.ParentPID())
	b, err := os.ReadFile("/proc/sysvipc/sem")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == strconv.Itoa(a.SysV.Sem[0]) {
			t.Errorf("left behind: semaphores %s", line)
		}
	}
	if _, err := p.Account(background(t)); !errors.Is(err, target.ErrGone) {
		t.Errorf("Account after Close: %v", err)
	}
}

func TestCloseStopped(t *testing.T) {
	p := start(t, target.Spec{Epoll: 2})
	stop(t, p)
	if a, err := p.Close(); err != nil || a.PID != p.PID() {
		t.Errorf("Close = %+v, %v", a, err)
	}
	gone(t, p.PID())
}

func TestCloseKilled(t *testing.T) {
	p := start(t, target.Spec{Sem: 1})
	a := account(t, p)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	last, err := p.Close()
	if err == nil || last.TimeNS != a.TimeNS {
		t.Errorf("Close = %+v, %v: want the account that was asked for, and an error", last, err)
	}
	gone(t, p.PID())
	noSem(t, a.SysV.Sem[0])
}

// noSem fails the test if there are semaphores of that number.
func noSem(t *testing.T, id int) {
	t.Helper()
	if b, _ := os.ReadFile("/proc/sysvipc/sem"); slices.Contains(strings.Fields(string(b)), strconv.Itoa(id)) {
		t.Errorf("left behind: semaphores %d", id)
	}
}

// A starter that is killed takes the target with it, also a stopped one.
func TestStarterDies(t *testing.T) {
	for _, mode := range []string{"none", "wake", target.ParentWatch} {
		for _, stopped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,stopped=%v", mode, stopped), func(t *testing.T) {
				starterDies(t, mode, stopped)
			})
		}
	}
}

func starterDies(t *testing.T, mode string, stopped bool) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), starterEnv+"="+mode)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid, helper, sem int
	if _, err := fmt.Sscan(line, &pid, &helper, &sem); err != nil {
		t.Fatal(line)
	}
	if stopped {
		stopPID(t, pid)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	// Their new parent may take its time to reap them.
	eventually(t, "the target to end", func() bool { return !alive(pid) })
	eventually(t, "its parent to end", func() bool { return helper == 0 || !alive(helper) })
	noSem(t, sem)
}

func TestStartCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	p, err := target.Start(ctx, target.Spec{Epoll: 10})
	if !errors.Is(err, context.DeadlineExceeded) {
		p.Close()
		t.Errorf("Start = %v", err)
	}
}

// By hand: a line when it is ready, commands as lines, its account at the end.
func TestByHand(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(background(t), exe)
	cmd.Env = append(os.Environ(), `MASSATTACH_TARGET={"futex":5,"epoll":5}`)
	cmd.Stdin = strings.NewReader(`{"id":7,"op":"get_disposition","signal":17}` + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], `{"ready":true,"pid":`) || lines[1] != `{"id":7,"result":"default"}` {
		t.Fatalf("%s", out)
	}
	var a target.Account
	if err := json.Unmarshal([]byte(lines[2]), &a); err != nil || a.Kinds[target.KindEpoll].Threads != 5 {
		t.Errorf("%+v, %v", a, err)
	}
	undisturbed(t, a)

	cmd = exec.CommandContext(background(t), exe)
	cmd.Env = append(os.Environ(), `MASSATTACH_TARGET={"futex":-1}`)
	if out, err := cmd.Output(); err == nil || !strings.Contains(string(out), `"ready":false`) {
		t.Errorf("a bad Spec: %s, %v", out, err)
	}
}

func TestZombieLeader(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Epoll: 3, ZombieLeader: true})
	if s := status(t, p.PID(), p.PID(), "State"); !strings.HasPrefix(s, "Z") {
		t.Errorf("leader: %s", s)
	}
	tids, err := p.Spawn(ctx, target.KindSem, 2)
	if err != nil {
		t.Fatal(err)
	}
	a := account(t, p)
	undisturbed(t, a)
	if a.Kinds[target.KindSem].Threads != 2 || a.Kinds[target.KindLeader].Threads != 0 || len(tids) != 2 {
		t.Errorf("%+v", a)
	}
	if _, err := p.Close(); err != nil {
		t.Fatal(err)
	}
	gone(t, p.PID())
}

func TestLeaderEndsLater(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Epoll: 3})
	if err := p.End(ctx, p.PID()); err != nil {
		t.Fatal(err)
	}
	if s := status(t, p.PID(), p.PID(), "State"); !strings.HasPrefix(s, "Z") {
		t.Errorf("leader: %s", s)
	}
	undisturbed(t, account(t, p))
}

func TestOrphan(t *testing.T) {
	p := start(t, target.Spec{Epoll: 3, Orphan: true})
	if s := status(t, p.PID(), p.PID(), "PPid"); s == strconv.Itoa(os.Getpid()) {
		t.Errorf("the parent of the orphan is its starter")
	}
	a, err := p.Close()
	if err != nil {
		t.Fatal(err)
	}
	undisturbed(t, a)
	eventually(t, "the orphan to end", func() bool { return !alive(p.PID()) })
}

// alive is false for a zombie that its reaper has not come for.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func TestSpawnAndEnd(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Recv: 1})
	for _, kind := range []string{
		target.KindFutex, target.KindEpoll, target.KindSem, target.KindRead, target.KindSleep,
		target.KindSpin, target.KindSys, target.KindChurn, target.KindRecv, target.KindHot, target.KindPair,
	} {
		tids, err := p.Spawn(ctx, kind, 2)
		if err != nil {
			t.Fatal(kind, err)
		}
		list, err := p.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, tid := range tids {
			if !slices.Contains(list[kind], tid) {
				t.Errorf("%s thread %d is not in %v", kind, tid, list[kind])
			}
			if comm := status(t, p.PID(), tid, "Name"); comm != kind {
				t.Errorf("%s thread %d is called %s", kind, tid, comm)
			}
			if err := p.End(ctx, tid); (err != nil) != (kind == target.KindSleep) {
				t.Errorf("end a %s thread: %v", kind, err)
			}
			if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", p.PID(), tid)); kind != target.KindSleep {
				eventually(t, "it to be gone", func() bool {
					_, err = os.Stat(fmt.Sprintf("/proc/%d/task/%d", p.PID(), tid))
					return err != nil
				})
			}
		}
	}
	undisturbed(t, account(t, p))
	if _, err := p.Spawn(ctx, "none", 1); err == nil {
		t.Error("a thread of no kind")
	}
	if err := p.End(ctx, 1); err == nil {
		t.Error("the end of a stranger")
	}
}

func TestCommDumpablePIDFile(t *testing.T) {
	ctx := background(t)
	file := filepath.Join(t.TempDir(), "pid")
	p := start(t, target.Spec{Epoll: 1, PIDFile: file})
	if b, err := os.ReadFile(file); err != nil || string(b) != fmt.Sprintln(p.PID()) {
		t.Errorf("pidfile %q, %v", b, err)
	}
	list, err := p.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tid := list[target.KindEpoll][0]
	if err := p.SetComm(ctx, tid, "a) b (c"); err != nil {
		t.Fatal(err)
	}
	if s := status(t, p.PID(), tid, "Name"); s != "a) b (c" {
		t.Errorf("comm %q", s)
	}
	if err := p.SetDumpable(ctx, false); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(fmt.Sprintf("/proc/%d/maps", p.PID()))
	if err != nil || st.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("not dumpable: %v, %v", st, err)
	}
	undisturbed(t, account(t, p))
}
