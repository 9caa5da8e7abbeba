// Package try has what the tests of this module share: the command, built as the image
// has it, and programs that do not outlive the test.
package try

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Module is the folder of the main module.
func Module() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "../../..")
}

var built struct {
	sync.Mutex
	dir string
}

// Main runs the tests; TestMain is to call it.
func Main(m *testing.M) {
	code := m.Run()
	os.RemoveAll(built.dir)
	os.Exit(code)
}

// Massattach answers the path of the command, as the Dockerfile builds it.
func Massattach(t *testing.T) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		return filepath.Join(built.dir, "massattach")
	}
	dir, err := os.MkdirTemp("", "massattach")
	if err != nil {
		t.Fatal(err)
	}
	// Others than root run it, too.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	built.dir = dir
	path := filepath.Join(dir, "massattach")
	build := exec.Command("sh", "-c", strings.ReplaceAll(recipe(t), "-o /massattach", "-o "+path))
	build.Dir = Module()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, out)
	}
	return path
}

// recipe is the line of the Dockerfile that builds the command.
func recipe(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Module(), "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if run, ok := strings.CutPrefix(line, "RUN "); ok && strings.Contains(run, "go build") && strings.Contains(run, "-o /massattach") {
			return strings.TrimSpace(run)
		}
	}
	t.Fatal("the Dockerfile builds no /massattach")
	return ""
}

// Root skips a test that lacks root; in CI it fails.
func Root(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		lack(t, "root")
	}
}

// Need skips a test that lacks a program; in CI it fails.
func Need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			lack(t, p)
		}
	}
}

func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("lacks %s", what)
	}
	t.Skipf("lacks %s", what)
}

// Start starts a program that ends with the test, at latest when this process does.
func Start(t *testing.T, cmd *exec.Cmd) {
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

// Until tries again until there is no error; the test fails when there has been one
// for two minutes.
func Until(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("not true in time: %s: %v", what, err)
}

// Said keeps what a program says, and shows it when the test fails.
type Said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Listen makes one for a program.
func Listen(t *testing.T, who string) *Said {
	s := &Said{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s", who, s)
		}
	})
	return s
}

func (s *Said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *Said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
