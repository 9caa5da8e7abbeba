//go:build linux

package programs_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"massattach/internal/programs"
)

// Who starts programs and is killed leaves nothing behind.
func TestKilled(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	temp := t.TempDir()
	cmd.Env = append(os.Environ(), envVictim+"=yes", "TMPDIR="+temp)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "loaded\n" {
		t.Errorf("the victim says %q: %v", line, err)
	}
	// Itself, a supervisor, the shell, and perhaps what that runs.
	if all := inEnvironment("TMPDIR=" + temp); len(all) < 3 {
		t.Errorf("there are only %q", all)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	left := func() []string {
		left := inEnvironment("TMPDIR=" + temp)
		files, _ := os.ReadDir(temp)
		for _, f := range files {
			left = append(left, f.Name())
		}
		return left
	}
	// Longer than the supervisor takes at most: two minutes for the shell, one for others.
	for end := time.Now().Add(5 * time.Minute); len(left()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("left behind: %q", left())
		}
	}
}

// inEnvironment are the processes that were started with a variable.
func inEnvironment(variable string) (commands []string) {
	names, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range names {
		b, _ := os.ReadFile(name) // it may have ended
		if slices.Contains(strings.Split(string(b), "\x00"), variable) {
			line, _ := os.ReadFile(filepath.Dir(name) + "/cmdline")
			commands = append(commands, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return commands
}

const envVictim = "MASSATTACH_PROGRAMS_VICTIM"

// victim is to be killed while a program of it is under load. It never returns.
func victim() {
	p, err := programs.Shell.Start(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go p.Load(context.Background(), time.Minute)
	for n := 0; n < 2; time.Sleep(time.Millisecond) {
		pids, err := p.PIDs()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		n = len(pids)
	}
	fmt.Println("loaded")
	select {}
}
