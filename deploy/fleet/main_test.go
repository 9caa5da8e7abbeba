package fleet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"massattach/deploy/internal/try"
)

// inside is set in the process that has a network namespace of its own.
const inside = "MASSATTACH_FLEET"

// The tests run in a network namespace that has nothing but a bridge, and ends with
// them, however they end.
func TestMain(m *testing.M) {
	if os.Getuid() != 0 || os.Getenv(inside) != "" {
		try.Main(m)
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
