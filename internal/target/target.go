package target

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// kindRuntime is the kind of threads that are not under test: those of the Go
// runtime, the control thread among them.
const kindRuntime = "runtime"

// A Target is a running target process. Its methods may be called from several
// goroutines.
type Target struct {
	spec    Spec
	pid     int
	link    *link
	parent  *link // to the process between, with Spec.Parent
	process       // of the platform

	closing sync.Once
	account Account // of Close
	err     error

	mu       sync.Mutex
	threads  int
	seen     Account // the newest account asked for
	sysv     SysV
	stranger bool // it has called exec of another program
}

// PID is the process ID of the target.
func (t *Target) PID() int { return t.pid }

// Threads is how many threads the target had when it was ready, its runtime's
// among them.
func (t *Target) Threads() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.threads
}

func (t *Target) do(ctx context.Context, q request, out any) error { return t.link.do(ctx, q, out) }

// Account asks the target for its account. No thread under test is woken.
func (t *Target) Account(ctx context.Context) (Account, error) {
	var a Account
	if err := t.do(ctx, request{Op: "account"}, &a); err != nil {
		return Account{}, err
	}
	if t.parent != nil {
		p, err := t.ParentEvents(ctx)
		if err != nil {
			return Account{}, err
		}
		a.Parent = &p
	}
	t.mu.Lock()
	t.seen, t.sysv = a, a.SysV
	t.mu.Unlock()
	return a, nil
}

// Reset makes the account start anew.
func (t *Target) Reset(ctx context.Context) error {
	if t.parent != nil {
		if err := t.parent.do(ctx, request{Op: "reset"}, nil); err != nil {
			return err
		}
	}
	return t.do(ctx, request{Op: "reset"}, nil)
}

// Window waits for d and returns what happened meanwhile.
func (t *Target) Window(ctx context.Context, d time.Duration) (Window, error) {
	before, err := t.Account(ctx)
	if err != nil {
		return Window{}, err
	}
	select {
	case <-ctx.Done():
		return Window{}, ctx.Err()
	case <-time.After(d):
	}
	after, err := t.Account(ctx)
	if err != nil {
		return Window{}, err
	}
	return after.Since(before), nil
}

// List returns the target's threads by kind; "runtime" are those that are not
// under test.
func (t *Target) List(ctx context.Context) (map[string][]int, error) {
	var m map[string][]int
	return m, t.do(ctx, request{Op: "threads"}, &m)
}

// A ThreadAccount is the account of one thread since it was made: Reset does
// not touch it.
type ThreadAccount struct {
	TID     int    `json:"tid"`
	Kind    string `json:"kind"`
	EINTR   int64  `json:"eintr"`
	Early   int64  `json:"early"`
	Calls   int64  `json:"calls"`
	Handled int64  `json:"handled"` // handler runs
	Pair    uint64 `json:"pair"`    // of a pair thread: the address of its two words
	// Counters is the address of EINTR, Early, Calls and Handled, a word each, for
	// whoever reads them while the target can't answer.
	Counters uint64 `json:"counters"`
	Result   string `json:"result,omitempty"`
}

// Thread asks for the account of one thread.
func (t *Target) Thread(ctx context.Context, tid int) (ThreadAccount, error) {
	var a ThreadAccount
	return a, t.do(ctx, request{Op: "thread", TID: tid}, &a)
}

// Spawn makes n threads of a kind and returns their tids when each is in its
// place.
func (t *Target) Spawn(ctx context.Context, kind string, n int) ([]int, error) {
	var tids []int
	return tids, t.do(ctx, request{Op: "spawn", Kind: kind, N: n}, &tids)
}

// End makes one thread leave its call and end, without a signal. The main
// thread becomes a zombie, as after pthread_exit. Threads that sleep cannot be
// told to leave, and of those in epoll_wait or read that were there at the
// start only the first 256 of each, or so: the others share a descriptor.
func (t *Target) End(ctx context.Context, tid int) error {
	return t.do(ctx, request{Op: "end", TID: tid}, nil)
}

// SetComm names a thread.
func (t *Target) SetComm(ctx context.Context, tid int, name string) error {
	return t.do(ctx, request{Op: "comm", TID: tid, Name: name}, nil)
}

// SetDumpable does prctl(PR_SET_DUMPABLE).
func (t *Target) SetDumpable(ctx context.Context, on bool) error {
	n := 0
	if on {
		n = 1
	}
	return t.do(ctx, request{Op: "dumpable", N: n}, nil)
}

// Exit makes the target call exit_group, and returns when it has ended, as far
// as its output shows.
func (t *Target) Exit(ctx context.Context, code int) error {
	if err := t.do(ctx, request{Op: "exit", N: code}, nil); !errors.Is(err, ErrGone) {
		return err
	}
	return nil
}

// An Exit is how a target ended.
type Exit struct {
	Known  bool // false: it was no child of ours, and its parent did not tell
	Code   int  // of exit; -1 if a signal ended it
	Signal syscall.Signal
}

func (e Exit) String() string {
	switch {
	case !e.Known:
		return "ended"
	case e.Signal != 0:
		return "signal: " + e.Signal.String()
	}
	return "exit status " + strconv.Itoa(e.Code)
}

// Exec says what a thread of the target is to exec.
type Exec struct {
	TID  int      // who; 0: the main thread
	Spec *Spec    // a target again; nil: of the same Spec
	Argv []string // or another program, by its path
}

// Exec makes a thread of the target call execve. It returns when the new image
// is ready, or with the errno. After an Exec of another program the target
// takes no more commands, and Close kills it.
func (t *Target) Exec(ctx context.Context, e Exec) error {
	failed := make(chan error, 1)
	sub, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { failed <- t.do(sub, request{Op: "exec", TID: e.TID, Spec: e.Spec, Argv: e.Argv}, nil) }()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("target: exec: %w", ctx.Err())
		case h := <-t.link.hellos:
			return t.greet(h)
		case err := <-failed:
			var c *commandError
			if errors.As(err, &c) && c.msg == errExeced.Error() {
				failed = nil // the first line follows
				continue
			}
			return err
		case <-tick.C:
			if len(e.Argv) > 0 && t.runs(e.Argv) {
				t.mu.Lock()
				t.stranger = true
				t.mu.Unlock()
				return nil
			}
		}
	}
}

// greet takes note of the first line of an image.
func (t *Target) greet(h reply) error {
	if h.Limit != nil {
		return h.Limit
	}
	if !*h.Ready {
		return &commandError{op: "start", msg: strings.TrimPrefix(h.Error, "target: "), errno: syscall.Errno(h.Errno)}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pid == 0 {
		t.pid = h.PID // an exec does not change it
	}
	t.threads, t.sysv = h.Threads, h.SysV
	return nil
}

// ParentEvents tells what the parent of the target saw, with Spec.Parent.
func (t *Target) ParentEvents(ctx context.Context) (ParentAccount, error) {
	if t.parent == nil {
		return ParentAccount{}, errors.New("target: it has no parent of ours")
	}
	var a ParentAccount
	return a, t.parent.do(ctx, request{Op: "events"}, &a)
}

// ParentLook makes the parent of the target, with ParentIdle, look once, by
// waitid with WNOHANG. It returns nil if there was nothing to see.
func (t *Target) ParentLook(ctx context.Context) (*ParentEvent, error) {
	if t.parent == nil {
		return nil, errors.New("target: it has no parent of ours")
	}
	var e *ParentEvent
	return e, t.parent.do(ctx, request{Op: "look"}, &e)
}

// ParentPID is the process ID of the target's parent, with Spec.Parent.
func (t *Target) ParentPID() int {
	if t.parent == nil {
		return 0
	}
	return t.childPID()
}
