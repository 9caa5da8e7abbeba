//go:build linux && (amd64 || arm64)

package target

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is what the starter knows of the processes it made.
type process struct {
	child  *os.Process // the target, its parent, or nil if it is an orphan
	pidfd  int         // of the target
	stderr *tail

	waiting sync.Once
	waited  chan struct{} // child has been reaped
	state   *os.ProcessState
	waitErr error
}

// Start runs the program again as a target, and returns when every thread of
// it is where it belongs. The context bounds the start, not the target's life:
// Close ends it, and it ends by itself when this process does.
//
// A *LimitError says that a limit of the machine is too low.
func Start(ctx context.Context, s Spec) (*Target, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	spec, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	role := ""
	switch {
	case s.Orphan:
		role = roleOrphan
	case s.Parent != "":
		role = roleParent
	}
	var p pipes
	defer p.closeTheirs()
	in, out, errs := p.to(), p.from(), p.from()
	var parentIn, parentOut *os.File
	if role == roleParent {
		parentIn, parentOut = p.to(), p.from()
	}
	if p.err != nil {
		p.closeOurs()
		return nil, fmt.Errorf("target: %w", p.err)
	}
	attr := &os.ProcAttr{
		Env:   with(os.Environ(), envSpec+"="+string(spec), envRole+"="+role),
		Files: p.theirs,
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	}
	if role == "" {
		attr.Sys = targetAttr(s)
	}
	child, err := os.StartProcess("/proc/self/exe", []string{processName}, attr)
	if err != nil {
		p.closeOurs()
		return nil, fmt.Errorf("target: start: %w", err)
	}
	p.closeTheirs()
	t := &Target{spec: s, link: newLink(in, out)}
	t.process = process{child: child, pidfd: -1, stderr: newTail(errs), waited: make(chan struct{})}
	if parentIn != nil {
		t.parent = newLink(parentIn, parentOut)
	}
	if role == roleOrphan {
		// It ends once it has started the target.
		_, _ = child.Wait()
		t.child = nil
	}
	if err := t.await(ctx); err != nil {
		t.abandon()
		return nil, err
	}
	return t, nil
}

// pipes are made by pairs, one end ours.
type pipes struct {
	ours, theirs []*os.File
	err          error
}

func (p *pipes) to() *os.File   { return p.pair(true) }
func (p *pipes) from() *os.File { return p.pair(false) }

func (p *pipes) pair(write bool) *os.File {
	r, w, err := os.Pipe()
	if err != nil {
		p.err = errors.Join(p.err, err)
		return nil
	}
	if !write {
		r, w = w, r
	}
	p.theirs, p.ours = append(p.theirs, r), append(p.ours, w)
	return w
}

func (p *pipes) closeTheirs() {
	for _, f := range p.theirs {
		f.Close()
	}
	p.theirs = nil
}

func (p *pipes) closeOurs() {
	for _, f := range p.ours {
		f.Close()
	}
}

// await waits for the first line of the target.
func (t *Target) await(ctx context.Context) error {
	var h reply
	select {
	case <-ctx.Done():
		return fmt.Errorf("target: start: %w", ctx.Err())
	case h = <-t.link.hellos:
	case <-t.link.ended:
		select {
		case h = <-t.link.hellos:
		default:
			<-t.stderr.done
			return fmt.Errorf("target: it ended before it was ready: %s", t.stderr)
		}
	}
	if err := t.greet(h); err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(t.pid, 0)
	if err != nil {
		return fmt.Errorf("target: pidfd of %d: %w", t.pid, err)
	}
	t.pidfd = fd
	return nil
}

// abandon ends what was started but never became ready. It hears that its
// input has ended once it is ready, and then leaves nothing behind; it is given
// a second for that, and killed. An orphan is not: it ends when it is ready.
func (t *Target) abandon() {
	t.link.w.Close()
	if t.parent != nil {
		t.parent.w.Close()
	}
	select {
	case <-t.link.ended:
	case <-time.After(time.Second):
	}
	if t.child != nil {
		if t.parent == nil {
			_ = t.child.Kill()
		}
		_, _ = t.child.Wait()
	}
	if t.pidfd >= 0 {
		_ = unix.Close(t.pidfd)
	}
}

func (p *process) childPID() int {
	if p.child == nil {
		return 0
	}
	return p.child.Pid
}

// runs tells whether the target's command line is argv.
func (t *Target) runs(argv []string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", t.pid))
	return err == nil && bytes.Equal(b, []byte(strings.Join(argv, "\x00")+"\x00"))
}

// A tail keeps the end of what a target says on stderr.
type tail struct {
	mu   sync.Mutex
	b    []byte
	done chan struct{}
}

func newTail(r *os.File) *tail {
	t := &tail{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		defer r.Close()
		_, _ = io.Copy(t, r)
	}()
	return t
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if n := len(t.b) - 8<<10; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.b))
}
