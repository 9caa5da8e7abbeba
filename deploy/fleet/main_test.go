package fleet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// inside is set in the process that has a network namespace of its own.
const inside = "MASSATTACH_FLEET"

// The tests run in a network namespace that has nothing but a bridge, and ends with
// them, however they end.
func TestMain(m *testing.M) {
	if os.Getuid() != 0 || os.Getenv(inside) != "" {
		os.Exit(run(m))
	}
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok && err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// program is the command, built for these tests.
var program string

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fleet")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "massattach")
	build := exec.Command("go", "build", "-o", program, "./cmd/massattach")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// need skips a test that lacks root or a program; in CI it fails.
func need(t *testing.T, programs ...string) {
	t.Helper()
	lacks := func(what string) {
		t.Helper()
		if os.Getenv("CI") == "true" {
			t.Fatalf("lacks %s", what)
		}
		t.Skipf("lacks %s", what)
	}
	if os.Getuid() != 0 {
		lacks("root")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			lacks(p)
		}
	}
}

// size is small, or what a campaign has.
func size(small, campaign int) int {
	if os.Getenv("MASSATTACH_CAMPAIGN") == "1" {
		return campaign
	}
	return small
}

// command runs a program to its end, and fails the test if that fails.
func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// start starts a program that ends with the test, at latest when this process does.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // unless it has ended
		_ = cmd.Wait()
	})
}
