// Standard output of who writes while he holds a target. Whoever reads it may
// take his time; when an ending has come, only as long as he reads at all.

package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// pipeBuf is what a pipe takes whole or not at all (PIPE_BUF in pipe(7)):
	// who is given up while he waits for its reader has left no half a line.
	pipeBuf = 4096
	// fileBuf is what is written at once to anything else.
	fileBuf = 64 << 10
	// grace is how long a reader has for each piece when an ending has come.
	grace = 200 * time.Millisecond
)

// errUnread is the error of a write that was given up.
var errUnread = errors.New("nobody reads it")

// stream is an io.Writer for several at once. After its first error it takes
// nothing more.
type stream struct {
	piece int // how much to write at once; more is never cut
	ctx   context.Context
	fail  context.CancelCauseFunc // is told of the first error

	mu      sync.Mutex
	err     error
	todo    chan []byte
	written chan error
}

// newStream begins a stream to w. An end of ctx is the ending that it doesn't
// wait for readers after; fail is told of an error.
func newStream(ctx context.Context, w io.Writer, fail context.CancelCauseFunc) *stream {
	s := &stream{piece: fileBuf, ctx: ctx, fail: fail, todo: make(chan []byte), written: make(chan error, 1)}
	if _, ok := isPipe(w); ok {
		s.piece = pipeBuf
	}
	// A write can't be called off. So it has a goroutine of its own, which is
	// left behind in it when it is given up.
	go func() {
		for b := range s.todo {
			_, err := w.Write(b)
			s.written <- err
		}
	}()
	return s
}

// Write writes b whole. After an error b belongs to the stream, which may still
// be writing it.
func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	s.todo <- b
	if err := s.wait(); err != nil {
		s.err = &writeError{err}
		s.fail(s.err)
		return 0, s.err
	}
	return len(b), nil
}

// wait answers what became of a write.
func (s *stream) wait() error {
	select {
	case err := <-s.written:
		return err
	case <-s.ctx.Done():
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case err := <-s.written:
		return err
	case <-late.C:
		return errUnread
	}
}

// close ends the stream, and answers why it could not write everything, which
// is nil for a reader who was given up.
func (s *stream) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.todo)
	if errors.Is(s.err, errUnread) {
		return nil
	}
	return s.err
}
