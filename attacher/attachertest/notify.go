package attachertest

import (
	"slices"
	"syscall"

	"massattach/internal/sys"
	"massattach/stopper/notify"
)

// armed is what a mechanism of notify style wants of a thread.
type armed struct {
	by       *Notify
	work     bool // it comes by the notify point on its way to user mode
	reported bool // it has been there
	mute     bool // and could not be sent a signal
	told     bool // which Look has said
	sealed   bool // it was confirmed
}

// Notify is a mechanism that has a thread report at its exit to user mode, as the
// task works of Linux 6.18 do: [notify.Mechanism].
type Notify struct {
	m     *Machine
	pid   int
	known map[int]bool
	wake  chan struct{}
}

var _ notify.Mechanism = (*Notify)(nil)

// Notify is a mechanism for the process pid.
func (m *Machine) Notify(pid int) *Notify {
	return &Notify{m: m, pid: pid, known: make(map[int]bool), wake: make(chan struct{}, 1)}
}

// Name is "fake".
func (n *Notify) Name() string { return "fake" }

// Guarantee is strict.
func (n *Notify) Guarantee() notify.Guarantee { return notify.Strict }

// Wake tells of threads that are mute.
func (n *Notify) Wake() <-chan struct{} { return n.wake }

// Add makes threads known.
func (n *Notify) Add(tids []int) error {
	return n.call("add", func() {
		for _, tid := range tids {
			n.known[tid] = true
		}
	})
}

// Remove forgets them.
func (n *Notify) Remove(tids []int) {
	_ = n.call("remove", func() {
		for _, tid := range tids {
			delete(n.known, tid)
			if t := n.m.tasks[tid]; t != nil && t.armed != nil && t.armed.by == n {
				t.armed = nil
			}
		}
	})
}

// Arm arms those that are known.
func (n *Notify) Arm(tids []int) error {
	return n.call("arm", func() {
		for _, tid := range tids {
			t := n.m.tasks[tid]
			if t == nil || !n.known[tid] || t.where >= zombie || t.g.pid != n.pid {
				continue
			}
			t.armed = &armed{by: n, work: true}
			if t.where == inUser {
				t.kick() // it is interrupted, and comes by
			}
		}
	})
}

// Look says who is on its way.
func (n *Notify) Look() (l notify.Look, err error) {
	err = n.call("query", func() {
		for _, tid := range n.tids() {
			switch t := n.m.tasks[tid]; {
			case t.armed.mute && !t.armed.told:
				t.armed.told = true
				l.Mute = append(l.Mute, tid)
			case !t.armed.reported && t.where == inUser && !t.job.traced && !t.job.stopped:
				l.Pending = append(l.Pending, tid)
			}
		}
		if len(l.Pending) == 0 {
			for _, tid := range n.tids() {
				n.m.tasks[tid].armed.sealed = true
			}
		}
	})
	return l, err
}

// tids are those that are armed.
func (n *Notify) tids() (tids []int) {
	for tid, t := range n.m.tasks {
		if t.armed != nil && t.armed.by == n && t.where < zombie {
			tids = append(tids, tid)
		}
	}
	slices.Sort(tids)
	return tids
}

// Disarm ends it.
func (n *Notify) Disarm(tids []int) (reported []int, err error) {
	err = n.call("disarm", func() {
		for _, tid := range tids {
			t := n.m.tasks[tid]
			if t == nil || t.armed == nil || t.armed.by != n {
				continue
			}
			if t.armed.reported && !t.armed.mute {
				reported = append(reported, tid)
			}
			t.armed = nil
		}
	})
	return reported, err
}

// Merged answers the siginfo that was merged into a signal of ours.
func (n *Notify) Merged(tid int, _ syscall.Signal) (si []byte, merged bool) {
	n.m.mu.Lock()
	defer n.m.unlock()
	t := n.m.tasks[tid]
	if t == nil || t.merged == nil {
		return nil, false
	}
	info := t.merged
	t.merged = nil
	return info[:], true
}

// Close disarms all.
func (n *Notify) Close() error {
	_, err := n.Disarm(n.all())
	return err
}

func (n *Notify) all() []int {
	defer n.m.lock()()
	return n.tids()
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
	a.work, a.reported = false, true
	for _, q := range t.pending {
		if t.takes(q) && !stops(q.no) && q.no != syscall.SIGCONT {
			return false // it stops for that one, and ours would swallow the next
		}
	}
	sig := t.pickSignal()
	if sig == 0 {
		a.mute = true
		select {
		case a.by.wake <- struct{}{}:
		default:
		}
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
	if !ours.ours || t.armed == nil && t.merged == nil {
		return
	}
	info := own.info
	t.merged, ours.ours, ours.seq = &info, false, own.seq
}

// strict checks that a thread which was confirmed runs no user code.
func (t *task) strict() {
	if a := t.armed; a != nil && a.sealed && !a.mute {
		t.m.account.broken(t, "runs user code although it is arrested")
	}
}
