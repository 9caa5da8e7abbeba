package procfs

import (
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A process in a PID namespace of its own, seen from outside. Its births move
// our last number, too.
func TestInnerNamespace(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	before, lastErr := FS{}.LastPID()
	if err := cmd.Start(); err != nil {
		t.Skip("needs the right to make one: ", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	pid := cmd.Process.Pid
	st, err := openProcess(t, FS{}, pid).Status(pid)
	if err != nil || st.Pid != pid || st.InnermostPID() != 1 || len(st.NSpid) != 2 || st.NSpid[0] != pid || st.NStgid[1] != 1 {
		t.Errorf("%+v, %v", st, err)
	}
	if after, err := (FS{}).LastPID(); lastErr == nil && (err != nil || after == before) {
		t.Errorf("last number %d, then %d, %v", before, after, err)
	}
}
