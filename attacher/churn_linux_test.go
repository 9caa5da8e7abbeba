package attacher_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
)

// belongings are what this process has that a session might leave behind.
type belongings struct {
	goroutines, threads, children int
	files                         []string
}

func ours(t testing.TB) belongings {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	b := belongings{goroutines: runtime.NumGoroutine(), threads: taskCount("self")}
	for _, e := range entries {
		// One of them was the list itself.
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			b.files = append(b.files, name)
		}
	}
	slices.Sort(b.files)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		// Gone meanwhile: it has no children.
		list, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		b.children += len(strings.Fields(string(list)))
	}
	return b
}

// leaves says what there is more of than there was, but for so many threads, which Go
// keeps for ever when that many goroutines were in calls at once.
func (b belongings) leaves(now belongings, threads int) string {
	switch {
	case now.goroutines > b.goroutines:
		return fmt.Sprintf("%d goroutines, there were %d", now.goroutines, b.goroutines)
	case len(now.files) > len(b.files): // those of an ended target may go late
		return fmt.Sprintf("files %v, there were %v", now.files, b.files)
	case now.children > b.children:
		return fmt.Sprintf("%d children, there were %d", now.children, b.children)
	case now.threads > b.threads+threads:
		return fmt.Sprintf("%d threads, there were %d", now.threads, b.threads)
	}
	return ""
}

// nothingLeft waits until there is no more of anything than there was, after so many
// sessions at once.
func nothingLeft(t testing.TB, before belongings, sessions int) {
	t.Helper()
	left := ""
	defer func() {
		if t.Failed() {
			t.Log("left behind:", left)
		}
	}()
	eventually(t, "nothing is left behind", func() bool {
		left = before.leaves(ours(t), 8+3*(sessions-1))
		return left == ""
	})
}

// Case 63: attach and detach under churn, again and again, leave nothing behind.
func TestRounds(t *testing.T) {
	for _, follow := range following {
		t.Run(follow.String(), func(t *testing.T) {
			p := start(t, target.Spec{Epoll: 300, Sem: 50, Churn: 2, Births: target.Births{Rate: 100, Life: 50 * time.Millisecond}})
			round := func(i int) {
				s := attach(t, p.PID(), &attacher.Options{Follow: follow})
				time.Sleep(time.Duration(i%8) * 5 * time.Millisecond)
				detach(t, s)
			}
			round(0) // for what Go keeps
			before := ours(t)
			for i := range size(30, 1_000) {
				round(i)
			}
			nothingLeft(t, before, 1)
			free(t, p.PID())
			undisturbed(t, p)
		})
	}
}

// Eight sessions on eight processes in one program, each with signals and
// churn, and each target ends in its own way.
func TestManySessionsUnderLoad(t *testing.T) {
	ends := []struct {
		name string
		do   func(p *target.Target) error
	}{
		{"detach", nil},
		{"exit", func(p *target.Target) error { return p.Exit(t.Context(), 3) }},
		{"kill", func(p *target.Target) error { return p.Kill() }},
		{"exec", func(p *target.Target) error {
			// It is not to end before the exec has been seen.
			err := execIn(t.Context(), p, target.Exec{Argv: []string{"/bin/sleep", "1000"}})
			return errors.Join(err, syscall.Kill(p.PID(), syscall.SIGTERM))
		}},
	}
	before := ours(t)
	for range size(1, 20) {
		var wg sync.WaitGroup
		for i := range 8 {
			end := ends[i%len(ends)]
			p := start(t, target.Spec{Epoll: 50, Recv: 4, Churn: 1, Orphan: i < 4,
				Births: target.Births{Rate: 50, Life: 100 * time.Millisecond}})
			wg.Go(func() {
				defer p.Close()
				s, err := attacher.Attach(t.Context(), p.PID(), &attacher.Options{Follow: following[i/4%len(following)]})
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				if f, err := p.Flood(t.Context(), target.Flood{Count: 200}); err != nil || f.Lost != 0 {
					t.Errorf("%s: %+v, %v", end.name, f, err)
				}
				undisturbed(t, p)
				if end.do != nil {
					if err := end.do(p); err != nil {
						t.Errorf("%s: %v", end.name, err)
					}
					select {
					case <-s.Ended():
					case <-time.After(patience):
						t.Errorf("%s: the end of the target went unnoticed", end.name)
						p.Kill()
					}
				}
				if err := s.Close(); err != nil {
					t.Errorf("%s: %v", end.name, err)
				}
				r := s.Report()
				if ended := end.do != nil; r.Ended != ended || ended && r.Threads.Exited != r.Threads.Attached {
					t.Errorf("%s: %+v", end.name, r)
				}
				if end.do == nil {
					free(t, p.PID())
					undisturbed(t, p)
				}
			})
		}
		wg.Wait()
	}
	nothingLeft(t, before, 8)
}

// A target that ends while a session is being closed, in whatever order.
func TestEndDuringDetach(t *testing.T) {
	before := ours(t)
	for i := range size(12, 300) {
		p := start(t, target.Spec{Epoll: 200, Sem: 20, Orphan: i%2 == 0, ZombieLeader: i%3 == 0})
		s := attach(t, p.PID(), nil)
		ended := make(chan error, 1)
		go func() {
			time.Sleep(time.Duration(i%4) * 100 * time.Microsecond)
			ended <- syscall.Kill(p.PID(), syscall.SIGKILL)
		}()
		detach(t, s)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if e, err := p.Wait(t.Context()); err != nil || e.Known && e.Signal != syscall.SIGKILL {
			t.Errorf("round %d: the target ended by %v, %v", i, e, err)
		}
		p.Close()
	}
	nothingLeft(t, before, 1)
}
