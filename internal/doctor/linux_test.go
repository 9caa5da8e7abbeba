//go:build linux

package doctor

import (
	"os"
	"os/exec"
	"testing"

	"massattach/attacher"
)

// What the system says of ourselves and of a child that sleeps.
func TestLinux(t *testing.T) {
	l := new(Linux)
	m := l.Machine()
	if _, ok := parseRelease(m.Release); !ok || m.UID != os.Getuid() || !m.OwnProc {
		t.Errorf("%+v", m)
	}
	names := make(map[string]bool)
	for _, limit := range m.Limits {
		names[limit.Name] = true
		if limit.Max <= 0 || limit.Used < 0 || limit.Raise == "" {
			t.Errorf("%+v", limit)
		}
	}
	if !names["kernel.pid_max"] || !names["kernel.threads-max"] {
		t.Errorf("%+v", m.Limits)
	}

	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	got, err := l.Target(cmd.Process.Pid)
	if err != nil || got.PID != cmd.Process.Pid || got.NSPID != got.PID || len(got.Groups) != 1 || got.Groups[0].N != 1 || len(got.Stopped) != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if f := got.Groups[0].Facts; f.Access != attacher.AccessGranted || f.TID != got.PID || !f.SameUser || f.KernelThread || f.Self {
		t.Errorf("%+v", f)
	}
	// Of ourselves the kernel grants access, and still it is refused.
	got, err = l.Target(os.Getpid())
	if err != nil || len(got.Groups) != 1 || got.Groups[0].N < 2 || !got.Groups[0].Facts.Self {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParseRelease(t *testing.T) {
	for release, want := range map[string]version{
		"6.18.44": {6, 18}, "4.7-rc3": {4, 7}, "5.15.0-105-generic": {5, 15}, "7.0": {7, 0},
	} {
		if v, ok := parseRelease(release); !ok || v != want {
			t.Errorf("%s: %v, %v", release, v, ok)
		}
	}
	for _, release := range []string{"", "Linux", "6"} {
		if v, ok := parseRelease(release); ok {
			t.Errorf("%q: %v", release, v)
		}
	}
	if !linuxWatch.before(linuxTID) || linuxTID.before(linuxWatch) || linuxTID.before(linuxTID) || !linuxMin.before(linuxWatch) {
		t.Error("versions are in no order")
	}
}
