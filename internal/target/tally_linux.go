//go:build linux && (amd64 || arm64)

package target

import (
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// A tally sums up control blocks.
type tally struct {
	threads             int
	eintr, early, calls uint64
	last                int64
	gap                 uint64
}

func (y *tally) add(t *tcb) {
	y.eintr += atomic.LoadUint64(&t.eintr)
	y.early += atomic.LoadUint64(&t.early)
	y.calls += atomic.LoadUint64(&t.calls)
	if l := atomic.LoadInt64(&t.last); l != 0 {
		y.last = l
	}
	y.gap = max(y.gap, atomic.LoadUint64(&t.gap))
}

// baseline is what an account subtracts, since a reset.
type baseline struct {
	kinds  [numKinds]tally
	runs   [65]uint64
	slots  [MaxSlots]slot
	strays uint64
	births BirthAccount
}

// sum adds up the threads by kind, those that have ended included.
func (in *inner) sum() (y [numKinds]tally) {
	y = in.retired
	for i := range in.used {
		t := &in.mem.tcbs[i]
		if !t.used {
			continue
		}
		k := &y[t.kind]
		k.add(t)
		if atomic.LoadUint32(&t.tid) != 0 {
			k.threads++
		}
	}
	return y
}

// account reads what the threads have written down. It wakes none of them.
func (in *inner) account() Account {
	a := Account{PID: in.pid, TimeNS: now(), Kinds: map[string]Kind{}, Runs: map[int]int64{}, Slots: []Slot{}}
	var st unix.Stat_t
	if unix.Stat("/proc/self/task", &st) == nil {
		a.Threads = int(st.Nlink) - 2 // fs/proc/base.c, proc_task_getattr
	}
	sums := in.sum()
	for i, y := range sums {
		b := in.base.kinds[i]
		k := Kind{Threads: y.threads, EINTR: int64(y.eintr - b.eintr), Early: int64(y.early - b.early)}
		if k.Early > 0 {
			k.Result = resultName(y.last)
		}
		calls := int64(y.calls - b.calls)
		switch i {
		case spin:
			a.Spins, a.MaxGapNS = calls, in.nanoseconds(y.gap)
		case sys:
			a.Calls = calls
		case hot:
			a.Hot = calls
		case churn:
			// A creator joins each before it makes the next.
			a.Born = calls
			a.Ended = max(0, calls-int64(y.threads))
		}
		if i != recv && i != hot && i != timed {
			a.EINTR += k.EINTR
			a.Early += k.Early
		}
		if k.Threads > 0 || k.EINTR > 0 || k.Early > 0 || calls > 0 {
			a.Kinds[kinds[i]] = k
		}
	}
	if in.births != nil {
		b := in.births.account().minus(in.base.births)
		a.Births = &b
		a.EINTR += b.EINTR
		a.Early += b.Early
	}
	for sig := range handlers.runs {
		if n := atomic.LoadUint64(&handlers.runs[sig]) - in.base.runs[sig]; n != 0 {
			a.Runs[sig] = int64(n)
		}
	}
	a.Strays = int64(atomic.LoadUint64(&handlers.strays) - in.base.strays)
	for i := range handlers.nslots {
		s, b := loadSlot(&handlers.slots[i]), &in.base.slots[i]
		a.Slots = append(a.Slots, Slot{
			TID: in.slotTID(int(i)), Sent: int64(s.sent - b.sent), Received: int64(s.received - b.received),
			OrderErrors: int64(s.order - b.order), PayloadErrors: int64(s.payload - b.payload),
		})
	}
	a.SysV = in.sysV()
	return a
}

func (in *inner) sysV() SysV { return SysV{Sem: in.res.sems, Msg: in.res.msgs} }

// reset makes all counters start from here. The longest gap cannot be
// subtracted: it is set to 0 under the spinner's hands, which at worst puts
// the old one back.
func (in *inner) reset() {
	in.base.kinds = in.sum()
	for i := range in.used {
		atomic.StoreUint64(&in.mem.tcbs[i].gap, 0)
	}
	in.retired[spin].gap = 0
	for sig := range handlers.runs {
		in.base.runs[sig] = atomic.LoadUint64(&handlers.runs[sig])
	}
	for i := range handlers.nslots {
		in.base.slots[i] = loadSlot(&handlers.slots[i])
	}
	in.base.strays = atomic.LoadUint64(&handlers.strays)
	if in.births != nil {
		in.base.births = in.births.account()
	}
}

func loadSlot(s *slot) slot {
	return slot{
		received: atomic.LoadUint64(&s.received), order: atomic.LoadUint64(&s.order),
		payload: atomic.LoadUint64(&s.payload), sent: atomic.LoadUint64(&s.sent),
	}
}

// nanoseconds converts ticks by the rate since the start.
func (in *inner) nanoseconds(n uint64) int64 {
	dt, dn := ticks()-in.epoch[0], now()-in.epoch[1]
	if dt <= 0 {
		return 0
	}
	return int64(float64(n) * float64(dn) / float64(dt))
}

func (b BirthAccount) minus(o BirthAccount) BirthAccount {
	return BirthAccount{
		Born: b.Born - o.Born, Ended: b.Ended - o.Ended, Skipped: b.Skipped - o.Skipped,
		EINTR: b.EINTR - o.EINTR, Early: b.Early - o.Early,
		Checked: b.Checked - o.Checked, Untraced: b.Untraced - o.Untraced, Late: b.Late - o.Late,
	}
}

// resultName spells the result of a system call.
func resultName(r int64) string {
	if r < 0 && r > -4096 {
		if name := unix.ErrnoName(syscall.Errno(-r)); name != "" {
			return name
		}
	}
	return strconv.FormatInt(r, 10)
}
