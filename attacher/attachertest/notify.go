package attachertest

import (
	"slices"
	"syscall"

	"massattach/attacher"
	"massattach/internal/sys"
	"massattach/stopper/notify"
)

// armed is what a mechanism of notify style wants of a thread: an entry in its map,
// which is found by the number that the thread had when it was armed.
type armed struct {
	t        *task
	off      bool // disarmed
	work     bool // the thread comes by the notify point on its way to user mode
	reported bool // it has been there
	mute     bool // and could not be sent a signal
	told     bool // which Look has said
	sealed   bool // it was confirmed
	merged   *attacher.Siginfo
}

// Notify is a mechanism that has a thread report at its exit to user mode, as the
// task works of Linux 6.18 do: [notify.Mechanism].
type Notify struct {
	m       *Machine
	pid     int
	entries map[int]*armed
}

var _ notify.Mechanism = (*Notify)(nil)

// Notify is a mechanism for the process pid.
func (m *Machine) Notify(pid int) *Notify {
	return &Notify{m: m, pid: pid, entries: make(map[int]*armed)}
}

// Name is "fake".
func (n *Notify) Name() string { return "fake" }

// Guarantee is strict.
func (n *Notify) Guarantee() notify.Guarantee { return notify.Strict }

// Add makes threads known.
func (n *Notify) Add(tids []int) error {
	return n.call("add", func() {
		for _, tid := range tids {
			if n.entries[tid] == nil {
				n.entries[tid] = &armed{off: true}
			}
		}
	})
}

// Remove forgets them.
func (n *Notify) Remove(tids []int) {
	_ = n.call("remove", func() {
		for _, tid := range tids {
			if a := n.entries[tid]; a != nil {
				a.off = true
			}
			delete(n.entries, tid)
		}
	})
}

// Arm arms those that are known.
func (n *Notify) Arm(tids []int) error {
	return n.call("arm", func() {
		for _, tid := range tids {
			t := n.m.tasks[tid]
			if t == nil || n.entries[tid] == nil || t.where >= zombie || t.g.pid != n.pid {
				continue
			}
			a := &armed{t: t, work: true}
			n.entries[tid], t.armed = a, a
			if t.where == inUser {
				t.kick() // it is interrupted, and comes by
			}
		}
	})
}

// Look says who is on its way.
func (n *Notify) Look() (l notify.Look, err error) {
	err = n.call("query", func() {
		for _, tid := range sorted(n.entries) {
			a := n.entries[tid]
			if a.off || a.t.where >= zombie || a.t.tracer == nil {
				continue // nobody is there to stop for
			}
			switch {
			case a.mute && !a.told:
				a.told = true
				l.Mute = append(l.Mute, tid)
			case !a.reported && a.t.where == inUser && !a.t.job.traced && !a.t.job.stopped:
				l.Pending = append(l.Pending, tid)
				continue
			}
			a.sealed = true
		}
	})
	return l, err
}

// Disarm ends it.
func (n *Notify) Disarm(tids []int) (reported []int, err error) {
	err = n.call("disarm", func() {
		for _, tid := range tids {
			a := n.entries[tid]
			if a == nil || a.off {
				continue
			}
			if a.off = true; a.reported && !a.mute {
				reported = append(reported, tid)
			}
		}
	})
	return reported, err
}

// Merged answers the siginfo that was merged into a signal of ours.
func (n *Notify) Merged(tid int, _ syscall.Signal) (si []byte, merged bool) {
	n.m.mu.Lock()
	defer n.m.unlock()
	t := n.m.tasks[tid]
	if t == nil || t.armed == nil || t.armed.merged == nil {
		return nil, false
	}
	info := t.armed.merged
	t.armed.merged = nil
	return info[:], true
}

// Close disarms all.
func (n *Notify) Close() error {
	return n.call("close", func() {
		for _, a := range n.entries {
			a.off = true
		}
		clear(n.entries)
	})
}

// call is the way in; a tool that was killed does nothing any more.
func (n *Notify) call(op string, f func()) error {
	if err := n.m.enter(0, op, 0); err != nil {
		return err
	}
	defer n.m.unlock()
	if n.m.killed {
		return syscall.ESRCH
	}
	f()
	return nil
}

// notifyPoint is where task works run, on the way to user mode and ahead of
// get_signal: the callback of the mechanism. It says whether it has sent a signal.
func (t *task) notifyPoint() bool {
	a := t.armed
	if a == nil || !a.work {
		return false
	}
	if a.work = false; a.off || t.tracer == nil {
		return false
	}
	a.reported = true
	for _, q := range t.pending {
		if t.takes(q) && !stops(q.no) && q.no != syscall.SIGCONT {
			return false // it stops for that one, and ours would swallow the next
		}
	}
	sig := t.pickSignal()
	if sig == 0 {
		a.mute = true
		return false
	}
	t.m.sent++
	owed := t.owed
	t.send(&signal{no: sig, to: t.tid, ours: true, seq: t.m.sent, info: newInfo(sig, codeKernel, 0, sys.Cookie)}, false)
	t.owed = owed // its handler will not run
	return true
}

// pickSignal is the choice: one without a handler first, never a SIGURG with one.
func (t *task) pickSignal() syscall.Signal {
	free := func(s syscall.Signal) bool {
		return !t.blocks(s) && !slices.ContainsFunc(t.pending, func(q *signal) bool { return q.no == s })
	}
	for _, s := range []syscall.Signal{syscall.SIGURG, syscall.SIGWINCH, syscall.SIGCHLD} {
		if free(s) && !t.g.handles(s) {
			return s
		}
	}
	for _, s := range []syscall.Signal{syscall.SIGWINCH, syscall.SIGCHLD} {
		if free(s) {
			return s
		}
	}
	return 0
}

// merge notes that a signal of the target's own was not queued because one of ours
// is pending: that one is to be delivered in its place (the tracepoint
// signal_generate).
func (t *task) merge(ours, own *signal) {
	if !ours.ours || t.armed == nil {
		return
	}
	info := own.info
	t.armed.merged, ours.ours, ours.seq = &info, false, own.seq
}

// Sealed says whether the thread tid can't run in user mode before it has reported,
// as far as a mechanism has confirmed, or because it is a tracee that has a trap to
// stop in: a newborn, say.
func (m *Machine) Sealed(tid int) bool {
	defer m.lock()()
	t := m.tasks[tid]
	return t != nil && (t.armed != nil && !t.armed.off && t.armed.sealed || t.tracer != nil && t.job.trapStop)
}

// strict checks that a thread which was confirmed runs no user code.
func (t *task) strict() {
	if a := t.armed; a != nil && a.sealed && !a.off && !a.mute {
		t.m.account.broken(t, "runs user code although it is arrested")
	}
}
