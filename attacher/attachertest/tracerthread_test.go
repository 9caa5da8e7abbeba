package attachertest_test

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"massattach/attacher"
)

// tracerThread is a thread that may be a tracer, and does what it is told.
type tracerThread struct {
	k     attacher.Tracer
	work  chan func()
	gone  chan struct{}
	begun atomic.Bool // a request that was told to begin has ended
}

func (s *scene) tracer(name string) *tracerThread {
	tr := s.tracers[name]
	if tr == nil {
		tr = startTracer(s.t, s.w.kernel())
		s.tracers[name] = tr
	}
	return tr
}

func startTracer(t *testing.T, kernel attacher.Kernel) *tracerThread {
	tr := &tracerThread{work: make(chan func()), gone: make(chan struct{})}
	bound := make(chan error)
	var start func()
	start = func() {
		k, err := kernel.Tracer()
		if errors.Is(err, attacher.ErrUnfit) {
			// Keep this thread until another goroutine has found one.
			done := make(chan struct{})
			go func() { defer close(done); start() }()
			<-tr.gone
			<-done
			runtime.UnlockOSThread()
			return
		}
		tr.k = k
		bound <- err
		defer close(tr.gone)
		if err != nil {
			return
		}
		for f := range tr.work {
			f()
		}
		k.Exit()
		// Locked as it is, the thread ends with the goroutine.
	}
	go start()
	if err := <-bound; err != nil {
		t.Fatal(err)
	}
	return tr
}

func (tr *tracerThread) do(f func(attacher.Tracer)) {
	done := make(chan struct{})
	tr.work <- func() { defer close(done); f(tr.k) }
	<-done
}

// ring has the tracer sleep, and rings until it has heard.
func (tr *tracerThread) ring() string {
	done := make(chan error, 1)
	tr.work <- func() { _, err := tr.k.Look(0, true); done <- err }
	for {
		select {
		case err := <-done:
			return outcome(err)
		case <-time.After(time.Millisecond):
			if err := tr.k.Ring(); err != nil {
				return outcome(err)
			}
		}
	}
}

func (tr *tracerThread) end() { close(tr.work); <-tr.gone }
