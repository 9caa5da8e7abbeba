//go:build linux

package programs_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/programs"
)

func TestMain(m *testing.M) {
	programs.Main()
	if os.Getenv(envVictim) != "" {
		victim()
	}
	// As the command does: see its main.
	runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))
	code := m.Run()
	if left, err := programs.Children(os.Getpid()); err != nil || len(left) > 0 {
		fmt.Fprintln(os.Stderr, "processes left behind:", left, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// campaign says whether the full sizes are asked for.
func campaign() bool { return os.Getenv("MASSATTACH_CAMPAIGN") != "" }

// inCI reports whether a test that can't run here has to fail.
func inCI() bool { return os.Getenv("CI") == "true" }

// size is small, or full in a campaign.
func size[T any](small, full T) T {
	if campaign() {
		return full
	}
	return small
}

// following are the modes in which threads to come are attached to, too, the
// default first.
var following = []attacher.Follow{attacher.FollowEvent, attacher.FollowScan, attacher.FollowClone}

// need skips the test if the machine lacks something of the program. In CI
// nothing may be lacking.
func need(t *testing.T, k *programs.Kind) {
	t.Helper()
	if err := k.Missing(); err != nil {
		if inCI() {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// start runs a program until the test ends.
func start(t *testing.T, k *programs.Kind) *programs.Program {
	t.Helper()
	need(t, k)
	p, err := k.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// sessions are those with all processes of a program.
type sessions struct {
	*programs.Crew
	mu  sync.Mutex
	all []*attacher.Session
}

// attach attaches to all processes of a program.
func attach(t *testing.T, p *programs.Program, f attacher.Follow) *sessions {
	t.Helper()
	var s sessions
	crew, err := p.Attach(func(pid int) (io.Closer, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		one, err := attacher.Attach(ctx, pid, &attacher.Options{Follow: f})
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = append(s.all, one)
		return one, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Crew = crew
	t.Cleanup(func() { crew.Close() })
	return &s
}

// living are the sessions with processes that have not ended.
func (s *sessions) living() (living []*attacher.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		select {
		case <-one.Ended():
		default:
			living = append(living, one)
		}
	}
	return living
}

// signals is how many have been seen so far.
func (s *sessions) signals() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		n += one.Report().Events.Signals
	}
	return n
}

// account sums up what the sessions say of themselves.
type account struct {
	processes, threads, signals, births, exits, execs, groupStops int
	repaired, left                                                int
}

// detach lets go, and checks that that, and each attach, was complete.
func (s *sessions) detach(t *testing.T) (a account) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, one := range s.all {
		r := one.Report()
		if r.Threads.Failed != 0 {
			t.Errorf("%s[%d]: %d threads were refused: %v", r.Comm, r.PID, r.Threads.Failed, r.Failures)
		}
		if !r.Detach.Confirmed {
			t.Errorf("%s[%d]: the detach was not confirmed", r.Comm, r.PID)
		}
		a.processes++
		a.threads += r.Threads.Attached
		a.signals += r.Events.Signals
		a.births += r.Events.Births
		a.exits += r.Events.Exits
		a.execs += r.Events.Execs
		a.groupStops += r.Events.GroupStops
		a.repaired += r.Repair.Repaired
		a.left += r.Repair.Left
	}
	return a
}
