//go:build linux && (amd64 || arm64)

package target

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A sender is a thread that floods the receivers when it is told to. It is
// made before the target is ready, and waits in a futex.
type sender struct {
	wake  atomic.Uint32
	busy  atomic.Bool
	flood Flood // under busy
	tids  []int // of the receivers
	pid   int
	info  []byte // a siginfo, and its address
	at    uint64

	sent, eagain, elapsed, drained atomic.Int64
	base                           int64 // received before
	failed                         atomic.Pointer[string]
}

func (in *inner) startSender() {
	s := &sender{pid: in.pid}
	s.info, s.at = in.mem.alloc(128)
	in.senders = s
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		setMask(^uint64(0))
		setComm("sender")
		close(started)
		for {
			for s.wake.Load() == 0 {
				futexWait(&s.wake, 0)
			}
			s.wake.Store(0)
			s.run()
			s.busy.Store(false)
		}
	}()
	<-started
}

// order starts a flood.
func (in *inner) order(f Flood) error {
	s := in.senders
	switch {
	case s == nil:
		return errors.New("no sender: the target was made without receivers")
	case s.busy.Load():
		return errors.New("a flood is under way")
	case f.For <= 0 && f.Count <= 0:
		return errors.New("a flood without an end")
	}
	n := int(handlers.nslots)
	if f.Slots > n {
		return fmt.Errorf("%d receivers asked for, there are %d", f.Slots, n)
	}
	if f.Slots > 0 {
		n = f.Slots
	}
	if f.Signal == 0 {
		f.Signal = HotSignal
	}
	if f.Drain == 0 {
		f.Drain = time.Minute
	}
	s.tids = make([]int, n)
	for i := range s.tids {
		if s.tids[i] = in.slotTID(i); s.tids[i] == 0 {
			return fmt.Errorf("the receiver of slot %d is gone", i)
		}
	}
	d := SigHandle
	if f.Restart {
		d = SigHandleRestart
	}
	if err := setDisposition(f.Signal, d); err != nil {
		return err
	}
	for _, c := range []*atomic.Int64{&s.sent, &s.eagain, &s.elapsed, &s.drained} {
		c.Store(0)
	}
	s.failed.Store(nil)
	s.flood, s.base = f, s.received()
	s.busy.Store(true)
	s.wake.Store(1)
	futexWake(&s.wake)
	return nil
}

func (s *sender) received() (n int64) {
	for i := range s.tids {
		n += int64(atomic.LoadUint64(&handlers.slots[i].received))
	}
	return n
}

// run sends, then waits for the last to be received.
func (s *sender) run() {
	f := s.flood
	fillInfo(s.info, f.Signal, s.pid, 0)
	start := now()
	s.send(f, start)
	s.elapsed.Store(now() - start)
	last, seen := now(), int64(-1)
	for {
		n := s.received() - s.base
		if n != seen {
			seen, last = n, now()
			s.drained.Store(last - start)
		}
		if n >= s.sent.Load() || now()-last > int64(f.Drain) {
			return
		}
		pause(100 * time.Microsecond)
	}
}

func (s *sender) send(f Flood, start int64) {
	for round := 0; f.Count == 0 || round < f.Count; round++ {
		if f.For > 0 && now()-start >= int64(f.For) {
			return
		}
		for i, tid := range s.tids {
			slot := &handlers.slots[i]
			seq := slot.sent + 1
			for f.Window > 0 && slot.sent-atomic.LoadUint64(&slot.last) >= uint64(f.Window) {
				yield()
				if f.For > 0 && now()-start >= int64(f.For) {
					return
				}
			}
			binary.NativeEndian.PutUint64(s.info[24:], uint64(i)<<32|seq&0xffffffff)
			for {
				_, err := quick(unix.SYS_RT_TGSIGQUEUEINFO, uint64(s.pid), uint64(tid), uint64(f.Signal), s.at)
				if err == nil {
					break
				}
				if err != unix.EAGAIN {
					msg := fmt.Sprintf("send to %d: %v", tid, err)
					s.failed.Store(&msg)
					return
				}
				s.eagain.Add(1)
				if f.For > 0 && now()-start >= int64(f.For) {
					return
				}
				yield()
			}
			atomic.StoreUint64(&slot.sent, seq)
			s.sent.Add(1)
		}
	}
}

func yield() { _, _ = quick(unix.SYS_SCHED_YIELD) }

// state tells how far the flood is.
func (s *sender) state() FloodResult {
	done := !s.busy.Load()
	r := FloodResult{
		Done: done, Sent: s.sent.Load(), Received: s.received() - s.base, EAGAIN: s.eagain.Load(),
		ElapsedNS: s.elapsed.Load(), DrainedNS: s.drained.Load(),
	}
	if done {
		r.Lost = r.Sent - r.Received
	}
	if msg := s.failed.Load(); msg != nil {
		r.Error = *msg
	}
	return r
}
