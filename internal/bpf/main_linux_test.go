//go:build linux && (amd64 || arm64)

package bpf_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/internal/bpf"
	"massattach/internal/target"
)

// inside names what a process of the tests does that has been started in some
// surroundings: see surrounded.
const inside = "MASSATTACH_BPF_TEST"

func TestMain(m *testing.M) {
	target.Main()
	if what := os.Getenv(inside); what != "" {
		if err := surrounded[what](); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// run has another process of this program do one of surrounded, with a prefix
// to its command line, and answers what it prints.
func run(t *testing.T, what string, attr *syscall.SysProcAttr, prefix ...string) string {
	t.Helper()
	line := append(prefix, "/proc/self/exe")
	if len(prefix) > 0 {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		line[len(prefix)] = exe
	}
	cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
	cmd.Env = append(os.Environ(), inside+"="+what)
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// required says whether a feature must be there: MASSATTACH_REQUIRE names it.
func required(feature string) bool {
	for f := range strings.SplitSeq(os.Getenv("MASSATTACH_REQUIRE"), ",") {
		if f == feature {
			return true
		}
	}
	return false
}

// need skips the test when the product's own probe says that a feature is
// missing, unless that must be there.
func need(t testing.TB, feature string, probe func() error) {
	t.Helper()
	if err := probe(); err != nil {
		if required(feature) {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
}

func start(t testing.TB, s target.Spec) *target.Target {
	t.Helper()
	p, err := target.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// eventually waits until it is true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so: %s", what)
		}
	}
}

// missing is the error of who lacks something.
func missing(err error) *bpf.MissingError {
	m, _ := errors.AsType[*bpf.MissingError](err)
	return m
}
