package attacher

import (
	"syscall"

	"massattach/threadset"
)

// mayNotify are the signals that a program of ours may send: those that do nothing
// by default, so that nothing happens should we die before we take them.
func mayNotify(sig syscall.Signal) bool {
	return sig == syscall.SIGURG || sig == syscall.SIGWINCH || sig == syscall.SIGCHLD
}

// notified says whether the signal of a signal-delivery-stop is one of ours. Who
// can't be asked has been killed.
func (t *tracer) notified(s Stop) bool {
	if s.Kind != StopSignal || !mayNotify(s.Signal) {
		return false
	}
	var si Siginfo
	return t.k.Siginfo(s.TID, &si) == nil && si.Ours()
}

// notify handles the stop of a thread that a program of ours has sent a signal, at
// the end of what it did in the kernel. The stop is reaped before all else: should we
// die then, the signal is lost, as it should be.
func (t *tracer) notify(s Stop) {
	t.repair(s, t.notes[s.TID])
	n := t.notes[s.TID]
	if n != nil && n.letGo {
		t.detach(s)
		return
	}
	switch t.decide(s) {
	case Hold:
		t.hold(s)
		return
	case Deliver:
		s.Kind = StopSignal
		t.signal(s)
		return
	}
	if _, err := t.k.ReapStop(s.TID); err != nil {
		return
	}
	if n != nil && n.asked {
		t.ask(s.TID)
	}
	t.resume(s, 0)
	if n == nil || !n.asked {
		t.move(s.TID, threadset.Passed)
	}
}

// Armed notes that threads are to report before they run another instruction in user
// mode: a program of ours will send them a signal, whose stop is a [StopNotify].
func (o *Owner) Armed(tids []int) {
	for _, tid := range tids {
		if n := o.t.notes[tid]; n == nil || n.held.Kind == StopUnknown && !n.job {
			o.t.move(tid, threadset.Interrupted)
		}
	}
}

// InKernel notes that armed threads are known to be in the kernel.
func (o *Owner) InKernel(tids []int) {
	for _, tid := range tids {
		if n := o.t.notes[tid]; n == nil || n.held.Kind == StopUnknown && !n.job && !n.asked {
			o.t.move(tid, threadset.InKernel)
		}
	}
}

// Disarmed takes Armed back, of threads that have not stopped. One that has been sent
// its signal already will still report it, and goes on.
func (o *Owner) Disarmed(tids []int) {
	for _, tid := range tids {
		n := o.t.notes[tid]
		if n != nil && (n.held.Kind != StopUnknown || n.job || n.asked) {
			continue
		}
		switch th, _ := o.t.shard.Get(tid); th.Phase {
		case threadset.Stopping:
			o.t.move(tid, threadset.Resumed)
		case threadset.Parked:
			o.t.move(tid, threadset.Unparked)
		}
	}
}
