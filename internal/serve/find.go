package serve

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"massattach/procfs"
)

// find looks for the process of a target: of those that match, the one that has lived
// longest, and how many there are. It is nil when there is none; with an error it may
// be there all the same.
func (t Target) find() (found *process, matches int, err error) {
	candidates, err := t.candidates()
	if err != nil {
		return nil, 0, err
	}
	for _, pid := range candidates {
		start, ok, merr := t.matches(pid)
		if !ok {
			err = cmp.Or(err, merr)
			continue
		}
		matches++
		if found != nil && found.start <= start {
			continue
		}
		p, perr := openProcess(pid)
		if perr != nil {
			matches--
			err = cmp.Or(err, unlessEnded(perr))
			continue
		}
		// What was looked at may have ended before p was opened.
		if now, ok, merr := t.matches(pid); !ok || now != start {
			p.Close()
			matches--
			err = cmp.Or(err, merr)
			continue
		}
		found.Close()
		p.start = start
		found = p
	}
	if found != nil {
		return found, matches, nil
	}
	return nil, matches, err
}

// matches judges a process, and says when it was born, in clock ticks since the boot. An
// error is one that says nothing of it: this process has no file descriptor left, say.
func (t Target) matches(pid int) (start uint64, ok bool, err error) {
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		return 0, false, unlessEnded(err)
	}
	defer p.Close()
	// The cheapest question comes first: it is asked of every process.
	if n, err := p.NumThreads(); err != nil || n < t.Rule.MinThreads {
		return 0, false, unlessEnded(err)
	}
	st, err := p.Stat(pid)
	if err != nil || st.State == 'Z' && st.NumThreads <= 1 { // dead, and not yet waited for
		return 0, false, unlessEnded(err)
	}
	return st.StartTime, t.Rule.IsZero() || t.Rule.matches(pid, st), nil
}

// unlessEnded is an error that says something else than that the process has ended, or
// is none.
func unlessEnded(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return nil
	}
	if _, ok := errors.AsType[*procfs.NotLeaderError](err); ok {
		return nil
	}
	return err
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
