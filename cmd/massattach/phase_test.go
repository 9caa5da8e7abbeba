//go:build linux

package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Phases are told to those who listen, and nobody is held up for others.
func TestPhases(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := &phases{fd: int(w.Fd())}
	p.enter(phaseAttach, 7)
	p.enter(phaseHold, 7)
	w.Close()
	line := regexp.MustCompile(`^attach 7 [0-9]{19}\nhold 7 [0-9]{19}\n$`)
	if b, err := io.ReadAll(r); !line.Match(b) {
		t.Errorf("%q, %v", b, err)
	}
	full := clogPipe(t)
	defer full.w.Close()
	p = &phases{fd: int(full.w.Fd())}
	p.enter(phaseDetach, 7)
	full.r.Close()
	p.enter(phaseDone, 7)
	for _, fd := range []int{-1, 1 << 20, 1 << 40} {
		(&phases{fd: fd}).enter(phaseDone, 7)
	}
}

// The command tells of all of them, of each of its processes.
func TestPhasesOfAttach(t *testing.T) {
	p := prepare(t, "massattach", "attach", "--phase-fd", "3", "--for", "0s", "999999999", "999999998").start()
	var told []string
	for e := range p.phases {
		if e.pid == 999999998 {
			told = append(told, string(e.phase))
		}
	}
	p.ends(exitNoProcess)
	if got := strings.Join(told, " "); got != "attach done" {
		t.Errorf("%q", got)
	}
}
