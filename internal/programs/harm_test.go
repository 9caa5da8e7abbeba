//go:build linux

package programs_test

import (
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
			defer p.Close() // it has not ended well
			pids, err := p.PIDs()
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				_, err := p.Load(t.Context(), time.Second)
				done <- err
			}()
			time.Sleep(200 * time.Millisecond)
			victim := pids[0]
			if k == programs.Postgres || k == programs.Nginx {
				victim = pids[1]
			}
			if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
			loadErr := <-done
			if err := p.Check(); err == nil && loadErr == nil {
				t.Error("nothing shows")
			}
		})
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
	for end := time.Now().Add(10 * time.Second); p.Free() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is stopped, and said to be free")
		}
	}
	if err := syscall.Kill(pids[0], syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}
