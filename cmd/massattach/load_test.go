//go:build linux

package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/target"
)

// load is signals under way to a target, until it is stopped: floods to its
// receivers, one after another; handled ones to the threads in semop; ignored
// ones to those in epoll_wait. A signal lost, doubled, changed or overtaken
// fails the test.
type load struct {
	t      *testing.T
	target *target.Target
	ctx    context.Context
	end    context.CancelFunc // what it has begun it brings to its end
	began  atomic.Int64       // when the present flood did; 0: there is none
	wg     sync.WaitGroup
}

func startLoad(t *testing.T, tg *target.Target) *load {
	l := &load{t: t, target: tg}
	l.ctx, l.end = context.WithCancel(t.Context())
	kinds, err := tg.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.wg.Go(func() { l.until(l.queue) })
	var sent int64
	l.wg.Go(func() {
		l.until(func() error { return l.round(kinds[target.KindSem], kinds[target.KindEpoll], &sent) })
	})
	t.Cleanup(l.stop)
	return l
}

// until does something again and again.
func (l *load) until(do func() error) {
	for l.ctx.Err() == nil {
		if err := do(); err != nil {
			l.t.Error(err)
			return
		}
	}
}

func (l *load) stop() {
	l.end()
	l.wg.Wait()
}

// wasOn reports whether queued signals were being sent at that time, and still
// are.
func (l *load) wasOn(at time.Time) bool {
	ctx, cancel := bounded()
	defer cancel()
	began := l.began.Load()
	r, err := l.target.FloodState(ctx)
	return err == nil && !r.Done && r.ElapsedNS == 0 &&
		began != 0 && began < at.UnixNano() && began == l.began.Load()
}

// queue is one flood.
func (l *load) queue() error {
	ctx, cancel := bounded()
	defer cancel()
	if err := l.target.StartFlood(ctx, target.Flood{For: time.Second, Window: 16}); err != nil {
		return err
	}
	l.began.Store(time.Now().UnixNano())
	defer l.began.Store(0)
	for {
		r, err := l.target.FloodState(ctx)
		if err != nil {
			return err
		}
		if r.Done {
			return intact(ctx, l.target, r)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// round sends one signal to each of those who handle it, and to as many who
// ignore it, and waits until every handler has run: one that is still pending
// would swallow the next.
func (l *load) round(handlers, ignorers []int, sent *int64) error {
	for i, tid := range handlers {
		if err := unix.Tgkill(l.target.PID(), tid, syscall.Signal(sigHandled)); err != nil {
			return err
		}
		*sent++
		if err := unix.Tgkill(l.target.PID(), ignorers[i%len(ignorers)], syscall.Signal(sigIgnored)); err != nil {
			return err
		}
	}
	ctx, cancel := bounded()
	defer cancel()
	for {
		a, err := l.target.Account(ctx)
		switch n := a.Runs[sigHandled]; {
		case err != nil:
			return errors.Join(errors.New("not every handler has run"), err)
		case n == *sent:
			return nil
		case n > *sent:
			return errors.New("a handler has run without a signal")
		}
		time.Sleep(time.Millisecond)
	}
}
