package serve

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"massattach/procfs"
)

// find looks for the process of a target: of those that match, the one that has lived
// longest, and how many there are. It is nil when there is none.
func (t Target) find() (found *process, matches int, err error) {
	candidates, err := t.candidates()
	if err != nil {
		return nil, 0, err
	}
	for _, pid := range candidates {
		start, ok := t.matches(pid)
		if !ok {
			continue
		}
		matches++
		if found != nil && found.start <= start {
			continue
		}
		p, err := openProcess(pid)
		if err != nil {
			matches-- // it has ended
			continue
		}
		// What was looked at may have ended before p was opened.
		if now, ok := t.matches(pid); !ok || now != start {
			p.Close()
			matches--
			continue
		}
		found.Close()
		p.start = start
		found = p
	}
	return found, matches, nil
}

// matches judges a process, and says when it was born, in clock ticks since the boot.
func (t Target) matches(pid int) (start uint64, ok bool) {
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		return 0, false
	}
	defer p.Close()
	// The cheapest question comes first: it is asked of every process.
	if n, err := p.NumThreads(); err != nil || n < t.Rule.MinThreads {
		return 0, false
	}
	st, err := p.Stat(pid)
	if err != nil || st.State == 'Z' && st.NumThreads <= 1 { // dead, and not yet waited for
		return 0, false
	}
	return st.StartTime, t.Rule.IsZero() || t.Rule.matches(pid, st)
}

// candidates are the processes to look at.
func (t Target) candidates() ([]int, error) {
	switch {
	case t.PID != 0:
		return []int{t.PID}, nil
	case t.PIDFile != "":
		pid, err := readPIDFile(t.PIDFile)
		if err != nil {
			return nil, err
		}
		return []int{pid}, nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, pid)
		}
	}
	return all, nil
}

func readPIDFile(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("%s has no process number", path)
	}
	return pid, nil
}
