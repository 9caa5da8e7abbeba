//go:build linux && (amd64 || arm64)

package target

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// births is a creator of threads that live a while. It has control blocks of
// its own, so that it shares nothing with the control thread but counters.
type births struct {
	in    *inner
	spec  Births
	free  []int
	live  []int // in the order of birth
	check int   // how many of live have been checked
	steps [][]step
	buf   []byte

	born, ended, skipped, eintr, early, checked, untraced, late atomic.Int64
}

const lateBy = 20 * time.Millisecond

// birthPool is how many control blocks births need.
func birthPool(b Births) int {
	if b.Rate == 0 {
		return 0
	}
	return min(60_000, int(float64(b.Rate)*b.Life.Seconds()*2)+512)
}

func (in *inner) startBirths() error {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	b := &births{in: in, spec: in.spec.Births}
	for i := in.limit; i < len(in.mem.tcbs); i++ {
		t := &in.mem.tcbs[i]
		t.kind, t.mode, t.mask = birth, modeExit, in.blocked(birth)
		s, at := in.mem.script(3)
		s[0] = step{nr: unix.SYS_CLOCK_GETTIME, args: [6]uint64{unix.CLOCK_MONOTONIC, addr(&t.ts[0])}}
		s[1] = step{nr: epollCall, args: [6]uint64{uint64(ep), addr(&t.buf[0]), 1, uint64(b.spec.Life.Milliseconds())}}
		s[2] = step{nr: unix.SYS_CLOCK_GETTIME, args: [6]uint64{unix.CLOCK_MONOTONIC, addr(&t.end[0])}}
		t.script = at
		b.steps = append(b.steps, s)
		b.free = append(b.free, i)
	}
	in.births = b
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		setMask(^uint64(0))
		setComm(KindBirth)
		close(started)
		b.run()
	}()
	<-started
	return nil
}

func (b *births) run() {
	every := int64(time.Second) / int64(b.spec.Rate)
	for next := now(); ; {
		b.inspect()
		b.harvest() // first: after a standstill there is much to make up for
		for ; next <= now(); next += every {
			b.make()
		}
		pause(time.Duration(min(max(next-now(), 0), int64(5*time.Millisecond))))
	}
}

func (b *births) make() {
	n := len(b.free)
	if n == 0 {
		b.skipped.Add(1)
		return
	}
	i := b.free[n-1]
	t := &b.in.mem.tcbs[i]
	t.steps = 3
	t.born = now()
	if _, err := b.in.mem.clone(i); err != nil {
		b.skipped.Add(1)
		return
	}
	b.free = b.free[:n-1]
	b.live = append(b.live, i)
	b.born.Add(1)
}

// inspect reads whether those old enough are traced.
func (b *births) inspect() {
	if b.spec.Check == 0 {
		return
	}
	for ; b.check < len(b.live); b.check++ {
		t := &b.in.mem.tcbs[b.live[b.check]]
		age := time.Duration(now() - t.born)
		if age < b.spec.Check {
			return
		}
		tid := atomic.LoadUint32(&t.tid)
		status := readFile(fmt.Sprintf("/proc/self/task/%d/status", tid), b.buf[:0])
		b.buf = status
		_, rest, ok := bytes.Cut(status, []byte("TracerPid:\t"))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		tracer, err := strconv.Atoi(string(line))
		switch {
		case !ok || err != nil || age > b.spec.Check+lateBy:
			b.late.Add(1)
		case tracer == 0:
			b.untraced.Add(1)
			fallthrough
		default:
			b.checked.Add(1)
		}
	}
}

// harvest takes back what has ended. All live equally long, so it looks no
// further than the first that has not.
func (b *births) harvest() {
	for len(b.live) > 0 {
		i := b.live[0]
		t := &b.in.mem.tcbs[i]
		if atomic.LoadUint32(&t.tid) != 0 {
			return
		}
		b.live = b.live[1:]
		b.free = append(b.free, i)
		if b.check > 0 {
			b.check--
		} else if b.spec.Check > 0 {
			b.late.Add(1) // gone before it was looked at
		}
		b.ended.Add(1)
		lived := time.Duration((t.end[0]-t.ts[0])*1e9 + t.end[1] - t.ts[1])
		switch ret := b.steps[i-b.in.limit][1].ret; {
		case ret == -int64(unix.EINTR):
			b.eintr.Add(1)
		case ret != 0 || lived < b.spec.Life.Truncate(time.Millisecond):
			b.early.Add(1)
		}
	}
}

func (b *births) account() BirthAccount {
	return BirthAccount{
		Born: b.born.Load(), Ended: b.ended.Load(), Skipped: b.skipped.Load(),
		EINTR: b.eintr.Load(), Early: b.early.Load(),
		Checked: b.checked.Load(), Untraced: b.untraced.Load(), Late: b.late.Load(),
	}
}
