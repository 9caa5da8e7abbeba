//go:build linux

package programs_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
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
	// Its supervisor, the shell, and what that runs.
	pids, err := programs.Children(cmd.Process.Pid)
	if err != nil || len(pids) < 3 {
		t.Errorf("the victim has %v: %v", pids, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	left := func() (left []string) {
		for _, pid := range pids {
			if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
				left = append(left, strings.ReplaceAll(string(line), "\x00", " "))
			}
		}
		files, _ := os.ReadDir(temp)
		for _, f := range files {
			left = append(left, f.Name())
		}
		return left
	}
	for end := time.Now().Add(20 * time.Second); len(left()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("left behind: %q", left())
		}
	}
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
