package attacher

import (
	"context"
	"encoding/binary"
	"time"

	"massattach/internal/sys"
	"massattach/threadset"
)

// A target that is a child of this very process has a second waiter: whoever
// waits for it in this process, os/exec's Wait say. To Linux a child that its
// parent's own thread group traces has only one kind of wait (kernel/exit.c,
// wait_consider_task: "just pretend the caller is ptrace_do_wait"), so that
// such a wait takes the leader's ptrace-stops, too, even one that asked for
// exits only. Its tracer never hears of a stop that was taken, and the thread
// would stand still for ever.

// guardEvery bounds how long.
const guardEvery = 20 * time.Millisecond

// guardLeader looks for stops of the leader that somebody else has taken.
func (s *Session) guardLeader(ctx context.Context) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.ended:
			return
		case <-tick.C:
		}
		// The record doesn't say who traces it: what was taken away may be the
		// report of an exec.
		st, err := s.process.Status(s.pid)
		if err != nil || st.State != 't' {
			continue
		}
		if t := s.tracerOf(st.TracerPid); t != nil {
			_ = tell(ctx, []*tracer{t}, (*tracer).recoverLeader)
		}
	}
}

// recoverLeader handles a stop of the leader that was taken away: what it was
// can still be read from its siginfo.
func (t *tracer) recoverLeader() {
	pid := t.s.pid
	if th, ok := t.shard.Get(pid); ok && th.Phase == threadset.Held {
		return // we have taken it ourselves
	}
	if ws, err := t.k.Look(pid, false); err != nil || ws.TID != 0 {
		return // not taken: it comes by itself
	}
	var si Siginfo
	if t.k.Siginfo(pid, &si) != nil {
		return // not stopped, or it listens
	}
	t.handle(t.decode(stolen(pid, &si)))
}

// stolen is the wait status that goes with the siginfo of a ptrace-stop: for a
// signal-delivery-stop the signal's own, else one whose code is the status
// (kernel/signal.c, ptrace_do_notify).
func stolen(tid int, si *Siginfo) WaitStatus {
	signo := int(binary.NativeEndian.Uint32(si[0:]))
	code := int(int32(binary.NativeEndian.Uint32(si[8:])))
	ws := WaitStatus{TID: tid, Code: sys.CodeTrapped, Status: signo}
	if event := code >> 8; code > 0 && event != 0 && code&0x7f == signo {
		ws.Status = code
	}
	return ws
}
