package attachertest

import (
	"encoding/binary"
	"slices"
	"syscall"

	"massattach/attacher"
)

// signal is one that was sent and not yet taken: struct sigqueue.
type signal struct {
	no   syscall.Signal
	info attacher.Siginfo
	seq  int
	to   int  // the thread it was sent to, 0: the process
	ours bool // of massattach's own: may be suppressed
}

const (
	sigRTMin = 32 // SIGRTMIN of the kernel

	codeUser   = 0    // SI_USER
	codeKernel = 0x80 // SI_KERNEL
	codeQueue  = -1   // SI_QUEUE
	codeTkill  = -6   // SI_TKILL
)

// newInfo lays a siginfo_t out for 64-bit Linux; the words of its head are
// signo, errno, code, then at 16 pid and uid, at 24 the value.
func newInfo(sig syscall.Signal, code int32, pid int, value uint64) (si attacher.Siginfo) {
	binary.NativeEndian.PutUint32(si[0:], uint32(sig))
	binary.NativeEndian.PutUint32(si[8:], uint32(code))
	binary.NativeEndian.PutUint32(si[16:], uint32(pid))
	binary.NativeEndian.PutUint32(si[20:], 1000)
	binary.NativeEndian.PutUint64(si[24:], value)
	return si
}

func infoCode(si *attacher.Siginfo) int32 { return int32(binary.NativeEndian.Uint32(si[8:])) }
func infoValue(si *attacher.Siginfo) uint64 {
	return binary.NativeEndian.Uint64(si[24:])
}

func ignoredByDefault(s syscall.Signal) bool { // sig_kernel_ignore
	return s == syscall.SIGCONT || s == syscall.SIGCHLD || s == syscall.SIGWINCH || s == syscall.SIGURG
}

func stops(s syscall.Signal) bool { // sig_kernel_stop
	return s == syscall.SIGSTOP || s == syscall.SIGTSTP || s == syscall.SIGTTIN || s == syscall.SIGTTOU
}

func bit(s syscall.Signal) uint64 { return 1 << (s - 1) }

// blocks says whether the thread blocks s. Nobody blocks these two.
func (t *task) blocks(s syscall.Signal) bool {
	return t.blocked&bit(s) != 0 && s != syscall.SIGKILL && s != syscall.SIGSTOP
}

// ignores is sig_handler_ignored.
func (g *group) ignores(s syscall.Signal) bool {
	return g.action[s] == Ignore || g.action[s] == Default && ignoredByDefault(s)
}

func (g *group) handles(s syscall.Signal) bool {
	return g.action[s] == Handler || g.action[s] == HandlerRestart
}

// flush takes signals off every queue of the process.
func (g *group) flush(which func(syscall.Signal) bool) {
	drop := func(q *signal) bool { return which(q.no) }
	g.shared = slices.DeleteFunc(g.shared, drop)
	for _, t := range g.threads {
		t.pending = slices.DeleteFunc(t.pending, drop)
	}
}

// send is send_signal_locked: to the thread, or with shared to the process, of
// which t is then the leader.
func (t *task) send(q *signal, shared bool) {
	g := t.g
	if !t.prepare(q.no) {
		return
	}
	queue := &t.pending
	if shared {
		queue = &g.shared
	}
	// A standard signal does not queue: legacy_queue.
	if i := slices.IndexFunc(*queue, func(o *signal) bool { return o.no == q.no }); q.no < sigRTMin && i >= 0 {
		t.m.account.Merged++
		t.merge((*queue)[i], q)
		return
	}
	*queue = append(*queue, q)
	t.complete(q.no, shared)
}

// prepare is prepare_signal: what a signal does by being sent, and whether
// there is anything to deliver. That of a traced thread is never ignored.
func (t *task) prepare(s syscall.Signal) bool {
	g := t.g
	switch {
	case g.exiting:
		return false
	case stops(s):
		g.flush(func(o syscall.Signal) bool { return o == syscall.SIGCONT })
	case s == syscall.SIGCONT:
		g.flush(stops)
		g.cont()
	}
	if t.blocks(s) || t.tracer != nil && s != syscall.SIGKILL {
		return true
	}
	return !g.ignores(s)
}

// complete is complete_signal: it finds a thread to take the signal, and ends
// the process at once if nothing stands between.
func (t *task) complete(s syscall.Signal, shared bool) {
	g := t.g
	taker := t
	if !t.wants(s) {
		if !shared || g.alone() {
			return
		}
		taker = nil
		for range g.threads {
			g.current++
			if c := g.threads[g.current%len(g.threads)]; c.wants(s) {
				taker = c
				break
			}
		}
		if taker == nil {
			return // somebody takes it when he comes by
		}
	}
	fatal := !g.ignores(s) && g.action[s] == Default && !ignoredByDefault(s) && !stops(s)
	if s == syscall.SIGKILL || fatal && taker.tracer == nil {
		g.killAll(int(s))
		return
	}
	// A traced thread is woken by what an untraced one would not hear of.
	if g.ignores(s) {
		taker.touched = true
	} else {
		taker.owed = true
	}
	taker.wake(s == syscall.SIGKILL)
}

// wants is wants_signal.
func (t *task) wants(s syscall.Signal) bool {
	switch {
	case t.blocks(s), t.isExiting, t.where >= zombie:
		return false
	case s == syscall.SIGKILL:
		return true
	case t.job.stopped, t.job.traced:
		return false
	}
	return t.where == inUser || !t.sigpending
}

// killAll begins the end of the process by a signal: all but the last steps of
// complete_signal.
func (g *group) killAll(code int) {
	g.exiting, g.exitCode, g.stopCount = true, code, 0
	for _, t := range g.threads {
		t.kill()
	}
}

// kill makes SIGKILL pending in the thread.
func (t *task) kill() {
	if t.where >= zombie {
		return
	}
	t.clearPending()
	t.sigkill = true
	t.wake(true)
}

// recalc is recalc_sigpending.
func (t *task) recalc() {
	t.sigpending = t.sigkill || t.job.stopPending || t.job.trapStop || t.job.trapNotify ||
		slices.ContainsFunc(t.pending, t.takes) || slices.ContainsFunc(t.g.shared, t.takes)
}

func (t *task) takes(q *signal) bool { return !t.blocks(q.no) }

// dequeue is dequeue_signal: the thread's own first, the lowest number first,
// what the processor raises before all.
func (t *task) dequeue() *signal {
	for _, queue := range []*[]*signal{&t.pending, &t.g.shared} {
		best := -1
		for i, q := range *queue {
			if !t.blocks(q.no) && (best < 0 || rank(q.no) < rank((*queue)[best].no)) {
				best = i
			}
		}
		if best < 0 {
			continue
		}
		q := (*queue)[best]
		*queue = slices.Delete(*queue, best, best+1)
		if stops(q.no) {
			t.job.dequeued = true
		}
		t.recalc()
		return q
	}
	t.recalc()
	return nil
}

// rank is the order of next_signal.
func rank(s syscall.Signal) int {
	switch s {
	case syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGFPE, syscall.SIGSYS:
		return int(s)
	}
	return 100 + int(s)
}
