package target

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
)

// ErrGone is what a command answers when the target has ended.
var ErrGone = errors.New("target: it has ended")

// A link carries requests to a process and its replies back. Replies come in
// any order; a caller that gives up leaves nothing behind but a late line.
type link struct {
	w io.WriteCloser

	writing sync.Mutex // one line at a time

	mu      sync.Mutex
	id      int64
	pending map[int64]chan reply
	last    *Account // the final line

	hellos chan reply    // first lines of images
	ended  chan struct{} // the other side has closed its output
}

func newLink(w io.WriteCloser, r io.Reader) *link {
	l := &link{w: w, pending: map[int64]chan reply{}, hellos: make(chan reply, 16), ended: make(chan struct{})}
	go l.read(r)
	return l
}

func (l *link) read(r io.Reader) {
	defer close(l.ended)
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		b, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var line struct {
			reply
			Kinds json.RawMessage `json:"kinds"`
		}
		if json.Unmarshal(b, &line) != nil {
			continue // not ours: something printed by the program
		}
		switch {
		case line.Kinds != nil:
			a := new(Account)
			if json.Unmarshal(b, a) == nil {
				l.mu.Lock()
				l.last = a
				l.mu.Unlock()
			}
		case line.Ready != nil:
			l.forget()
			l.hellos <- line.reply
		default:
			l.mu.Lock()
			c := l.pending[line.ID]
			delete(l.pending, line.ID)
			l.mu.Unlock()
			if c != nil {
				c <- line.reply
			}
		}
	}
}

// forget answers requests that an exec has swallowed.
func (l *link) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, c := range l.pending {
		c <- reply{ID: id, Error: errExeced.Error()}
		delete(l.pending, id)
	}
}

var errExeced = errors.New("it has called exec")

// do makes one request and decodes its result into out, if that is not nil.
func (l *link) do(ctx context.Context, q request, out any) error {
	c := make(chan reply, 1)
	l.mu.Lock()
	l.id++
	q.ID = l.id
	l.pending[q.ID] = c
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.pending, q.ID)
		l.mu.Unlock()
	}()
	b, err := json.Marshal(q)
	if err != nil {
		return err
	}
	l.writing.Lock()
	_, err = l.w.Write(append(b, '\n'))
	l.writing.Unlock()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("target: %s: %w", q.Op, ctx.Err())
	case <-l.ended:
		select {
		case r := <-c:
			return r.decode(q.Op, out)
		default:
			return fmt.Errorf("target: %s: %w", q.Op, ErrGone)
		}
	case r := <-c:
		return r.decode(q.Op, out)
	}
}

func (r reply) decode(op string, out any) error {
	if r.Error != "" {
		return &commandError{op: op, msg: r.Error, errno: syscall.Errno(r.Errno)}
	}
	if out == nil || r.Result == nil {
		return nil
	}
	return json.Unmarshal(r.Result, out)
}

// A commandError is what the target answered. It wraps the errno, if there is one.
type commandError struct {
	op, msg string
	errno   syscall.Errno
}

func (e *commandError) Error() string { return "target: " + e.op + ": " + e.msg }

func (e *commandError) Unwrap() error {
	if e.errno == 0 {
		return nil
	}
	return e.errno
}

// final is the last line, if there was one.
func (l *link) final() *Account {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
