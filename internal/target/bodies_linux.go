//go:build linux && (amd64 || arm64)

package target

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// The indices of kinds.
const (
	leader = iota
	futex
	epoll
	sem
	sleep
	read
	spin
	sys
	churn
	recv
	hot
	pair
	birth
	timed
	numKinds
)

// ownDescriptors is how many threads of a kind have two descriptors of their
// own, and so can be told to leave one by one. The others share one.
func ownDescriptors() int {
	var lim unix.Rlimit // raised already, by package os
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &lim)
	return int(min(256, lim.Cur/8))
}

// pairSleep is for how long a pair thread sleeps; the kernel adds 50 µs.
const pairSleep = 100 * time.Microsecond

// semsPerSet is below every limit (SEMMSL was 250 before Linux 3.19).
const semsPerSet = 250

// resources are what the calls of the threads need.
type resources struct {
	epolls, pipes int      // made so far
	epoll, pipe   int32    // the shared ones
	sems          []int    // sets
	freeSems      [][2]int // set, number
	msgs          []int
}

// arm writes into t the call that a thread of kind k makes.
func (in *inner) arm(t *tcb, k int) error {
	t.mode = modeBlock
	t.aux = [2]int32{-1, -1}
	switch k {
	case leader, futex, recv, timed:
		t.nr = unix.SYS_FUTEX
		t.args = [6]uint64{addr(&t.word), futexWaitPrivate}
	case epoll:
		fd, err := in.epollFor(t)
		if err != nil {
			return err
		}
		t.nr = epollCall
		t.args = [6]uint64{uint64(fd), addr(&t.buf[0]), 1, ^uint64(0)}
	case sem:
		if err := in.semFor(t); err != nil {
			return err
		}
		t.sem = [6]byte{byte(t.aux[1]), byte(t.aux[1] >> 8), 0xff, 0xff} // number, -1, no flags
		t.nr = unix.SYS_SEMOP
		t.args = [6]uint64{uint64(t.aux[0]), addr(&t.sem[0]), 1}
	case sleep:
		t.ts = [2]int64{int64(24 * time.Hour / time.Second), 0}
		t.nr = unix.SYS_CLOCK_NANOSLEEP
		t.args = [6]uint64{unix.CLOCK_MONOTONIC, 0, addr(&t.ts[0])}
	case read:
		fd, err := in.pipeFor(t)
		if err != nil {
			return err
		}
		t.nr = unix.SYS_READ
		t.args = [6]uint64{uint64(fd), addr(&t.buf[0]), 1}
	case spin:
		t.mode = modeSpin
	case sys:
		t.mode = modeSys
		t.nr = unix.SYS_GETPPID
	case hot:
		// The tid is put in when it is known, in the thread's own script.
		t.mode = modeSys
		t.nr = unix.SYS_TGKILL
	case pair:
		t.mode = modePair
		t.ts = [2]int64{0, int64(pairSleep)}
		t.nr = unix.SYS_CLOCK_NANOSLEEP
		t.args = [6]uint64{unix.CLOCK_MONOTONIC, 0, addr(&t.ts[0])}
	case churn:
		t.mode = modeChurn
	}
	return nil
}

// epollFor returns the epoll descriptor that t waits on, its own or the shared one.
func (in *inner) epollFor(t *tcb) (int32, error) {
	r := &in.res
	if r.epolls > in.own && in.starting {
		return r.epoll, nil
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("epoll_create1: %w", err)
	}
	r.epolls++
	if r.epolls > in.own && in.starting {
		r.epoll = int32(ep)
		return r.epoll, nil
	}
	ev, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err == nil {
		err = unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, ev, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(ev)})
	}
	if err != nil {
		return 0, fmt.Errorf("eventfd: %w", err)
	}
	t.aux = [2]int32{int32(ep), int32(ev)}
	return int32(ep), nil
}

func (in *inner) pipeFor(t *tcb) (int32, error) {
	r := &in.res
	if r.pipes > in.own && in.starting {
		return r.pipe, nil
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return 0, fmt.Errorf("pipe2: %w", err)
	}
	r.pipes++
	if r.pipes > in.own && in.starting {
		r.pipe = int32(p[0])
		return r.pipe, nil
	}
	t.aux = [2]int32{int32(p[0]), int32(p[1])}
	return int32(p[0]), nil
}

func (in *inner) semFor(t *tcb) error {
	r := &in.res
	if len(r.freeSems) == 0 {
		id, err := quick(unix.SYS_SEMGET, unix.IPC_PRIVATE, semsPerSet, 0o600)
		if err != nil {
			return fmt.Errorf("semget: %w", err)
		}
		r.sems = append(r.sems, id)
		for i := range semsPerSet {
			r.freeSems = append(r.freeSems, [2]int{id, i})
		}
	}
	s := r.freeSems[len(r.freeSems)-1]
	r.freeSems = r.freeSems[:len(r.freeSems)-1]
	t.aux = [2]int32{int32(s[0]), int32(s[1])}
	return nil
}

// errNoWake says that a thread cannot be made to leave its call.
var errNoWake = errors.New("a thread of this kind cannot be woken without a signal")

// command tells a thread what to do, and wakes it. Before anything is changed
// it is checked that the thread can be woken.
func (in *inner) command(t *tcb, ctl uint32) error {
	k := int(t.kind)
	if k == sleep || k == birth || (k == epoll || k == read) && t.aux[1] < 0 || k == timed && atomic.LoadUint32(&t.state) == 0 {
		return errNoWake
	}
	if ctl == ctlScript {
		atomic.StoreUint32(&t.state, 0)
	}
	atomic.StoreUint32(&t.ctl, ctl)
	switch k {
	case leader, futex, recv, timed:
		atomic.StoreUint32(&t.word, 1)
		_, err := quick(unix.SYS_FUTEX, addr(&t.word), futexWakePrivate, 1)
		return err
	case epoll:
		_, err := unix.Write(int(t.aux[1]), []byte{1, 0, 0, 0, 0, 0, 0, 0})
		return err
	case read:
		_, err := unix.Write(int(t.aux[1]), []byte{0})
		return err
	case sem:
		_, err := quick(unix.SYS_SEMCTL, uint64(t.aux[0]), uint64(t.aux[1]), semSetVal, 1)
		return err
	}
	return nil
}

const semSetVal = 16

// disarm gives back what arm took, when the thread has ended.
func (in *inner) disarm(t *tcb) {
	switch int(t.kind) {
	case epoll, read:
		if t.aux[1] >= 0 {
			_ = unix.Close(int(t.aux[0]))
			_ = unix.Close(int(t.aux[1]))
		}
	case sem:
		in.res.freeSems = append(in.res.freeSems, [2]int{int(t.aux[0]), int(t.aux[1])})
	}
}

// removeSysV removes what would outlive the process.
func removeSysV(v SysV) {
	for _, id := range v.Sem {
		_, _ = quick(unix.SYS_SEMCTL, uint64(id), 0, unix.IPC_RMID)
	}
	for _, id := range v.Msg {
		_, _ = quick(unix.SYS_MSGCTL, uint64(id), unix.IPC_RMID)
	}
}
