package target

import (
	"context"
	"strconv"
	"time"
)

// A CallResult is what became of one call of the table.
type CallResult struct {
	Name string `json:"name"`
	Done bool   `json:"done"`
	// Ret is the result, Errno the name of the error, "" for none.
	Ret       int64  `json:"ret"`
	Errno     string `json:"errno,omitempty"`
	ElapsedNS int64  `json:"elapsed_ns"`
	// MaskSame: the signal mask was the same behind the call as before it.
	MaskSame bool `json:"mask_same"`
	// Handled counts handler runs in the thread.
	Handled int64 `json:"handled"`
	// Want is what the call returns undisturbed when its time-out has
	// passed: "0", "3", or the name of an errno; "" if it has none.
	Want string `json:"want,omitempty"`
}

// Result is Errno or Ret, to be compared with Want.
func (r CallResult) Result() string {
	if r.Errno != "" {
		return r.Errno
	}
	return strconv.FormatInt(r.Ret, 10)
}

// A TimedCall is a call under way.
type TimedCall struct {
	ID  int `json:"id"`
	TID int `json:"tid"`
}

// Calls lists the calls of the table, by name: blocking system calls without
// end (…_inf) and with a time-out (…_to).
func (t *Target) Calls(ctx context.Context) ([]string, error) {
	var names []string
	return names, t.do(ctx, request{Op: "calls"}, &names)
}

// StartCall makes a call of the table on a thread of its own, which blocks
// SIGHUP and SIGUSR2, and within calls that take a mask only SIGTERM. The
// time-out is rounded to ms; 0 means 700 ms. It returns when the thread is
// blocked in the call, or through it.
//
// A kernel that lacks the call answers ENOSYS, one that forbids it EPERM.
func (t *Target) StartCall(ctx context.Context, name string, timeout time.Duration) (TimedCall, error) {
	var c TimedCall
	return c, t.do(ctx, request{Op: "start_call", Name: name, Timeout: timeout}, &c)
}

// CallResult asks how far a call is. Once it is done its thread ends, and it
// can be asked for no more.
func (t *Target) CallResult(ctx context.Context, id int) (CallResult, error) {
	var r CallResult
	return r, t.do(ctx, request{Op: "call_result", N: id}, &r)
}

// A Vfork is a thread that waits for a child of vfork.
type Vfork struct {
	TID int `json:"tid"`
	PID int `json:"pid"` // of the child
}

// StartVfork makes a thread of its own call vfork. Its child waits for
// EndVfork, and no signal but a fatal one gets the thread out of the call.
func (t *Target) StartVfork(ctx context.Context) (Vfork, error) {
	var v Vfork
	return v, t.do(ctx, request{Op: "start_vfork"}, &v)
}

// EndVfork ends the child, and then the thread. An error says that vfork did
// not answer its child.
func (t *Target) EndVfork(ctx context.Context, tid int) error {
	return t.do(ctx, request{Op: "end_vfork", TID: tid}, nil)
}
