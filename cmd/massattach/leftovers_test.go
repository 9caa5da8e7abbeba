//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"massattach/internal/target"
)

// Whom another tool has left stopped: by a stop signal, and by hanging itself.
func TestLeftovers(t *testing.T) {
	tg := startTarget(t, target.Spec{Epoll: 20})
	if err := syscall.Kill(tg.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(tg.PID(), syscall.SIGCONT) })
	eventually(t, "it is stopped", func() bool { st, _ := status(tg.PID(), tg.PID()); return st.State == 'T' })
	d, code := situation{pid: pid(tg)}.foresight(t)
	if code != exitComplete || len(d.Leftovers) != 1 || d.Leftovers[0].State != "T" || d.Leftovers[0].Remedy != "kill -CONT "+pid(tg) {
		t.Errorf("exit %d, %+v", code, d.Leftovers)
	}
	// Let go by a tracer that has ended, it goes back by itself.
	eventually(t, "it is stopped again", func() bool { st, _ := status(tg.PID(), tg.PID()); return st.State == 'T' })
	// On the whole machine it is found as well.
	var all foreseenReport
	out, _ := exec.Command("massattach", "doctor", "--format", "json").Output()
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	if !strings.Contains(fmt.Sprint(all.Leftovers), "kill -CONT "+pid(tg)) {
		t.Errorf("%+v", all.Leftovers)
	}
	if err := syscall.Kill(tg.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}

	needs(t, has("gdb", "--version"), "gdb")
	gdb := underGDB(t, tg)
	number := strconv.Itoa(gdb.Process.Pid)
	eventually(t, "gdb is named", func() bool {
		d, _ := situation{pid: pid(tg)}.foresight(t)
		return len(d.Leftovers) == 1 && d.Leftovers[0].Tracer == "gdb" && d.Leftovers[0].State == "t" && d.Leftovers[0].Remedy == "kill "+number
	})
	if err := gdb.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "gdb is stopped", func() bool { st, _ := status(gdb.Process.Pid, gdb.Process.Pid); return st.State == 'T' })
	d, code = situation{pid: pid(tg)}.foresight(t)
	if code != exitDenied || len(d.Leftovers) != 1 || d.Leftovers[0].Remedy != "kill -CONT "+number || !strings.Contains(d.Leftovers[0].Detail, "stopped itself") {
		t.Errorf("exit %d, %+v", code, d.Leftovers)
	}
}

// A frozen process can be attached to, and doctor says how it thaws.
func TestForesightFrozen(t *testing.T) {
	needsRoot(t)
	tg := startTarget(t, target.Spec{Epoll: 20})
	dir := frozen(t, tg.PID())
	d, code := situation{pid: pid(tg)}.foresight(t)
	if code != exitComplete {
		t.Errorf("exit %d", code)
	}
	for _, c := range d.Checks {
		if c.Name == "freezer" && c.Remedy != "echo 0 | sudo tee "+dir+"/cgroup.freeze" {
			t.Errorf("%+v", c)
		}
	}
}

// frozen moves the process to a control group, and freezes that until the test
// ends.
func frozen(t *testing.T, pid int) (dir string) {
	t.Helper()
	root := ""
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(dir + "/cgroup.procs"); err == nil {
			root = dir
		}
	}
	needs(t, root != "", "a cgroup2 file system")
	dir, err := os.MkdirTemp(root, "massattach")
	needs(t, err == nil, "a cgroup2 file system to write to")
	write := func(file, text string) {
		if err := os.WriteFile(file, []byte(text), 0); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		write(dir+"/cgroup.freeze", "0")
		write(root+"/cgroup.procs", strconv.Itoa(pid))
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	write(dir+"/cgroup.procs", strconv.Itoa(pid))
	write(dir+"/cgroup.freeze", "1")
	eventually(t, "it is frozen", func() bool {
		b, _ := os.ReadFile(dir + "/cgroup.events")
		return strings.Contains(string(b), "frozen 1")
	})
	return dir
}
