//go:build linux

package programs_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"syscall"
	"testing"
	"time"

	"massattach/internal/programs"
)

// Harm that is done to a program under load shows: in its load generator, in its
// log, or by its end. One of its processes is killed: a child of those that can
// do without one.
func TestHarm(t *testing.T) {
	for _, k := range programs.All {
		if k == programs.JVM {
			continue // it takes long to start, and is loaded and watched like the Go server
		}
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			need(t, k)
			p, err := k.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				putDown(p)
				p.Close() // it has not ended well
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel() // redis-benchmark may wait for ever
			done := make(chan error, 1)
			go func() {
				_, err := p.Load(ctx, 3*time.Second)
				done <- err
			}()
			time.Sleep(500 * time.Millisecond)
			if err := killOne(p); err != nil {
				t.Error(err)
			}
			loadErr := <-done
			if ctx.Err() != nil {
				loadErr = nil // it was cut off, which says nothing of the program
			}
			// Its end, and what others log of it, may take a moment to show.
			for end := time.Now().Add(time.Minute); loadErr == nil && p.Check() == nil; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("nothing shows")
				}
			}
		})
	}
}

// putDown ends what was harmed, which may not heed what Close tells it: PostgreSQL misses
// it while it recovers, and would hang for as long as Close has patience. It cleans up when
// it is to end at once.
func putDown(p *programs.Program) {
	pids, err := p.PIDs()
	if p.Kind == programs.Postgres && err == nil && len(pids) > 0 {
		_ = syscall.Kill(pids[0], syscall.SIGQUIT)
		for end := time.Now().Add(10 * time.Second); len(pids) > 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			pids, _ = p.PIDs()
		}
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// A start that takes longer than it may says how far it has come, and leaves nobody.
func TestStartLate(t *testing.T) {
	need(t, programs.JVM)
	far := regexp.MustCompile(`\[\d+\] has \d+ threads map\[.*:\d.*\] and has used \d`)
	// On a busy machine java may not even run so soon: then a little longer.
	var err error
	for within := 300 * time.Millisecond; within < 10*time.Minute; within *= 2 {
		last := err
		if err = startWithin(t, within); err == nil {
			t.Fatalf("it has started in %v; before that: %v", within, last)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if far.MatchString(err.Error()) {
			return
		}
	}
	t.Error(err)
}

// startWithin starts a JVM, and ends it, if that takes no longer.
func startWithin(t *testing.T, d time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	p, err := programs.JVM.Start(ctx)
	if err != nil {
		return err
	}
	return p.Close()
}

// killOne kills a process of a program.
func killOne(p *programs.Program) error {
	who := 0
	if p.Kind == programs.Postgres || p.Kind == programs.Nginx {
		who = 1
	}
	for {
		pids, err := p.PIDs()
		if err != nil {
			return err
		}
		if len(pids) <= who {
			return fmt.Errorf("%s has only the processes %v", p.Kind, pids)
		}
		if err := syscall.Kill(pids[who], syscall.SIGKILL); err != syscall.ESRCH {
			return err
		}
		// That one was on its way out.
	}
}

// Who is stopped, or traced, is not free.
func TestFree(t *testing.T) {
	p := start(t, programs.Shell)
	if err := p.Free(); err != nil {
		t.Error(err)
	}
	s := attach(t, p, following[0])
	if err := p.Free(); err == nil {
		t.Error("it is traced, and said to be free")
	}
	s.detach(t)
	pids, err := p.PIDs()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pids[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); p.Free() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is stopped, and said to be free")
		}
	}
	if err := syscall.Kill(pids[0], syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Load(t.Context(), time.Millisecond); err != nil {
		t.Error(err)
	}
	if err := p.Free(); err != nil {
		t.Error(err)
	}
}
