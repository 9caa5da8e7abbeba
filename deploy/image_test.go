package deploy

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"massattach/deploy/internal/try"
)

func TestMain(m *testing.M) { try.Main(m) }

// What the Dockerfile builds needs nothing but the kernel: it runs in a file system that
// has nothing else but /proc.
func TestStatic(t *testing.T) {
	try.Root(t)
	program := try.Massattach(t)
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("it is linked dynamically: %v", p.Type)
		}
	}

	root := t.TempDir()
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "massattach"), text, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("/massattach", args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		cmd.Dir = "/"
		cmd.Env = []string{}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("massattach %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := run("--version"); !strings.HasPrefix(out, "massattach ") {
		t.Errorf("--version says %q", out)
	}

	proc := filepath.Join(root, "proc")
	if err := os.Mkdir(proc, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("proc", proc, "proc", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(proc, syscall.MNT_DETACH)
	tg := try.StartTarget(t, 100)
	pid := strconv.Itoa(tg.PID)
	for _, args := range [][]string{{"threads"}, {"threads", pid}, {"attach", "--for", "10ms", pid}} {
		if out := run(args...); !strings.Contains(out, pid) || !strings.Contains(out, "100") {
			t.Errorf("massattach %s says %q", args, out)
		}
	}
}

// The image builds, where something that builds images answers.
func TestImage(t *testing.T) {
	if exec.Command("docker", "info").Run() != nil {
		t.Skip("no container engine answers")
	}
	const name = "massattach:test"
	build := exec.Command("docker", "build", "-q", "-t", name, ".")
	build.Dir = try.Module()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("docker build: %v\n%s", err, out)
	}
	defer exec.Command("docker", "image", "rm", name).Run()
	if out, err := exec.Command("docker", "run", "--rm", name, "--version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "massattach ") {
		t.Errorf("docker run: %v\n%s", err, out)
	}
}
