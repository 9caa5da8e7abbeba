package target

import (
	"context"
	"time"
)

// A Disposition is what the kernel is told to do with a signal.
type Disposition string

// The dispositions. Every signal starts as SigDefault.
const (
	SigDefault       Disposition = "default"
	SigIgnore        Disposition = "ignore"
	SigHandle        Disposition = "handle"         // counts; interrupts blocked calls
	SigHandleRestart Disposition = "handle-restart" // counts; SA_RESTART
	SigHandleOnce    Disposition = "handle-once"    // counts; SA_RESETHAND
)

// SetDisposition sets what the kernel does with a signal of the target.
func (t *Target) SetDisposition(ctx context.Context, sig int, d Disposition) error {
	return t.do(ctx, request{Op: "disposition", Signal: sig, Name: string(d)}, nil)
}

// GetDisposition asks the kernel. A handler is SigHandle, whatever its flags.
func (t *Target) GetDisposition(ctx context.Context, sig int) (Disposition, error) {
	var d Disposition
	return d, t.do(ctx, request{Op: "get_disposition", Signal: sig}, &d)
}

// Send is an order to send a signal from inside the target.
type Send struct {
	Signal int `json:"signal"`
	// Whom to: one thread, every thread of a kind, or, if both are zero,
	// the process.
	TID  int    `json:"tid,omitempty"`
	Kind string `json:"kind,omitempty"`
	// Count is how often, 0 means once; Gap the time between two rounds.
	// A standard signal that is still pending is not queued again.
	Count int           `json:"count,omitempty"`
	Gap   time.Duration `json:"gap_ns,omitempty"`
	// Value, if not nil, goes along, as by sigqueue(3).
	Value *uint64 `json:"value,omitempty"`
}

// Send sends signals from the target's control thread, and returns when they
// have been sent.
func (t *Target) Send(ctx context.Context, s Send) error {
	return t.do(ctx, request{Op: "send", Send: &s}, nil)
}

// Mask changes the signal mask of one thread or of all threads of a kind,
// which leave their calls for that. It cannot be done to threads that can only
// be woken by a signal: those that sleep, and those that share a descriptor
// (see Target.End); Spec.Block can.
func (t *Target) Mask(ctx context.Context, tid int, kind string, block, unblock []int) error {
	return t.do(ctx, request{Op: "mask", TID: tid, Kind: kind, Block: block, Unblock: unblock}, nil)
}

// A Flood is real-time signals with a payload, slot<<32|sequence, sent to the
// recv threads in turn as fast as the kernel takes them.
type Flood struct {
	Slots   int           `json:"slots,omitempty"`    // how many receivers; 0: all
	For     time.Duration `json:"for_ns,omitempty"`   // how long to send
	Count   int           `json:"count,omitempty"`    // or how many to each, if not 0
	Window  int           `json:"window,omitempty"`   // at most so many under way to one receiver; 0: as many as the kernel queues
	Signal  int           `json:"signal,omitempty"`   // 0: HotSignal
	Restart bool          `json:"restart,omitempty"`  // handler with SA_RESTART
	Drain   time.Duration `json:"drain_ns,omitempty"` // how long to wait for progress of the last ones; 0: a minute
}

// A FloodResult is what became of a flood.
type FloodResult struct {
	Done      bool  `json:"done"`
	Sent      int64 `json:"sent"`
	Received  int64 `json:"received"`
	EAGAIN    int64 `json:"eagain"` // the queue was full, tried again
	ElapsedNS int64 `json:"elapsed_ns"`
	DrainedNS int64 `json:"drained_ns"` // until the last one was received
	// Lost were not received although nothing more came for Flood.Drain.
	Lost  int64  `json:"lost"`
	Error string `json:"error,omitempty"`
}

// Rate is signals received a second, until the last.
func (r FloodResult) Rate() float64 {
	return float64(r.Received) / time.Duration(r.DrainedNS).Seconds()
}

// StartFlood begins a flood: one at a time. It needs a Spec with Recv.
func (t *Target) StartFlood(ctx context.Context, f Flood) error {
	return t.do(ctx, request{Op: "flood", Flood: &f}, nil)
}

// FloodState tells how far it is.
func (t *Target) FloodState(ctx context.Context) (FloodResult, error) {
	var r FloodResult
	return r, t.do(ctx, request{Op: "flood_state"}, &r)
}

// Flood runs a flood to its end. If ctx ends first the flood goes on.
func (t *Target) Flood(ctx context.Context, f Flood) (FloodResult, error) {
	if err := t.StartFlood(ctx, f); err != nil {
		return FloodResult{}, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return FloodResult{}, ctx.Err()
		case <-tick.C:
		}
		if r, err := t.FloodState(ctx); err != nil || r.Done {
			return r, err
		}
	}
}

// ExpectSender says which pid the si_pid of queued signals must be, for floods
// that come from elsewhere; 0: any. At the start it is the target's own.
func (t *Target) ExpectSender(ctx context.Context, pid int) error {
	return t.do(ctx, request{Op: "sender", PID: pid}, nil)
}
