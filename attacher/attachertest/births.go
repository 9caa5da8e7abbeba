package attachertest

import (
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"massattach/attacher"
)

// births is a log of births: [attacher.Births]. Its id is below 0, which no
// tracer's is.
type births struct {
	m       *Machine
	g       *group
	id      int
	log     []*birth // from the first that was not taken out
	lost    int      // overwritten
	execs   int      // not told yet
	changed sync.Cond
	asleep  func() bool
	closed  bool
}

type birth struct {
	attacher.Birth
	dead bool
}

var _ attacher.Births = (*births)(nil)

// Births opens a log: [attacher.Kernel].
func (m *Machine) Births(pid int) (attacher.Births, error) {
	if err := m.enter(0, "births", pid); err != nil {
		return nil, err
	}
	defer m.unlock()
	if m.killed {
		return nil, syscall.ESRCH
	}
	b := &births{m: m, g: m.groups[pid], id: -len(m.logs) - 1}
	b.changed.L = &m.mu
	m.logs = append(m.logs, b)
	return b, nil
}

// Urgent does nothing: nobody is short of time here.
func (m *Machine) Urgent() (done func()) { return func() {} }

// tellBirth notes a birth in the logs of the process (the tracepoint
// sched_process_fork).
func (g *group) tellBirth(tid int) {
	for _, b := range g.m.logs {
		if b.g != g {
			continue
		}
		b.log = append(b.log, &birth{Birth: attacher.Birth{TID: tid, At: time.Now()}})
		if size := g.m.LogSize; size > 0 && len(b.log) > size {
			b.log = b.log[1:]
			b.lost++
		}
		b.changed.Signal()
	}
}

// tellDeath notes that a thread begins to exit (sched_process_exit).
func (g *group) tellDeath(tid int) {
	for _, b := range g.m.logs {
		if i := b.find(tid); b.g == g && i >= 0 {
			b.log[i].dead = true
		}
	}
}

// tellExec notes an exec (sched_process_exec).
func (g *group) tellExec() {
	for _, b := range g.m.logs {
		if b.g == g {
			b.execs++
			b.changed.Signal()
		}
	}
}

// find is where the living thread tid is in the log, -1 if it isn't.
func (b *births) find(tid int) int {
	return slices.IndexFunc(b.log, func(e *birth) bool { return e.TID == tid && !e.dead })
}

// enter is the way into Hear and Wait. It has not locked when it answers false.
func (b *births) enter(op string) bool {
	if b.m.enter(b.id, op, 0) != nil {
		return false
	}
	if b.closed || b.m.killed {
		b.m.unlock()
		return false
	}
	return true
}

func (b *births) Hear(age time.Duration, h *attacher.Heard) {
	*h = attacher.Heard{Ripe: h.Ripe[:0]}
	if !b.enter("hear") {
		return
	}
	defer b.m.unlock()
	h.Lost, h.Execs, b.lost, b.execs = b.lost, b.execs, 0, 0
	for now := time.Now(); len(b.log) > 0; b.log = b.log[1:] {
		e := b.log[0]
		if ripe := e.At.Add(age); ripe.After(now) {
			h.Next = ripe
			return
		}
		if e.dead {
			h.Short++
		} else {
			h.Ripe = append(h.Ripe, e.Birth)
		}
	}
}

func (b *births) Wait() error {
	if !b.enter("wait") {
		return os.ErrClosed
	}
	defer b.m.unlock()
	b.asleep = func() bool { return b.closed || b.m.killed || len(b.log) > 0 || b.lost > 0 || b.execs > 0 }
	for !b.asleep() {
		if b.m.Gate == nil {
			b.changed.Wait()
			continue
		}
		b.m.unlock()
		b.m.Gate(b.id, "sleep", 0)
		b.m.mu.Lock()
	}
	b.asleep = nil
	if b.closed || b.m.killed {
		return os.ErrClosed
	}
	return nil
}

func (b *births) Pending(tid int) bool {
	defer b.m.lock()()
	return b.find(tid) >= 0
}

func (b *births) Alive() (n int) {
	defer b.m.lock()()
	for _, e := range b.log {
		if !e.dead {
			n++
		}
	}
	return n
}

func (b *births) Close() error {
	defer b.m.lock()()
	b.closed = true
	b.changed.Signal()
	return nil
}
