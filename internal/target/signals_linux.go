//go:build linux && (amd64 || arm64)

package target

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// The flags of sigaction, on amd64 and arm64 alike.
const (
	saSiginfo   = 0x4
	saRestorer  = 0x04000000
	saOnstack   = 0x08000000
	saRestart   = 0x10000000
	saResethand = 0x80000000
)

// defaultSignals undoes the Go runtime's handlers, and what was inherited.
func defaultSignals() {
	for sig := 1; sig <= 64; sig++ {
		if sig != int(unix.SIGKILL) && sig != int(unix.SIGSTOP) {
			_ = setAction(sig, sigaction{})
		}
	}
}

func setDisposition(sig int, d Disposition) error {
	a := sigaction{}
	// The handler runs on a thread's own small stack, or on the signal
	// stack of a thread of the runtime: with all blocked there is one at a time.
	handle := sigaction{handler: uint64(handlerPC()), restorer: uint64(restorerPC()), flags: saSiginfo | saOnstack | saRestorer, mask: ^uint64(0)}
	switch d {
	case SigDefault:
	case SigIgnore:
		a.handler = 1
	case SigHandle:
		a = handle
	case SigHandleRestart:
		a = handle
		a.flags |= saRestart
	case SigHandleOnce:
		a = handle
		a.flags |= saResethand
	default:
		return fmt.Errorf("no disposition %q", d)
	}
	if err := setAction(sig, a); err != nil {
		return fmt.Errorf("set disposition of signal %d: %w", sig, err)
	}
	return nil
}

// send sends a signal as an order says.
func (in *inner) send(s Send) error {
	tids := []int{s.TID}
	if s.Kind != "" {
		k := kindOf(s.Kind)
		if k < 0 {
			return fmt.Errorf("no kind %q", s.Kind)
		}
		tids = in.tids(k)
	}
	for i := range max(1, s.Count) {
		if i > 0 && s.Gap > 0 {
			pause(s.Gap)
		}
		for _, tid := range tids {
			if err := in.sendOne(tid, s); err != nil {
				return fmt.Errorf("send signal %d to %d: %w", s.Signal, tid, err)
			}
		}
	}
	return nil
}

func (in *inner) sendOne(tid int, s Send) error {
	switch {
	case s.Value != nil:
		if in.info == nil {
			in.info, in.infoAt = in.mem.alloc(128)
		}
		fillInfo(in.info, s.Signal, in.pid, *s.Value)
		if tid == 0 {
			_, err := quick(unix.SYS_RT_SIGQUEUEINFO, uint64(in.pid), uint64(s.Signal), in.infoAt)
			return err
		}
		_, err := quick(unix.SYS_RT_TGSIGQUEUEINFO, uint64(in.pid), uint64(tid), uint64(s.Signal), in.infoAt)
		return err
	case tid == 0:
		return unix.Kill(in.pid, unix.Signal(s.Signal))
	}
	return unix.Tgkill(in.pid, tid, unix.Signal(s.Signal))
}

// fillInfo makes a siginfo of code SI_QUEUE.
func fillInfo(b []byte, sig, pid int, value uint64) {
	binary.NativeEndian.PutUint32(b[0:], uint32(sig))
	binary.NativeEndian.PutUint32(b[8:], ^uint32(0)) // SI_QUEUE
	binary.NativeEndian.PutUint32(b[16:], uint32(pid))
	binary.NativeEndian.PutUint32(b[20:], uint32(unix.Getuid()))
	binary.NativeEndian.PutUint64(b[24:], value)
}

// tids lists the live threads of a kind.
func (in *inner) tids(k int) []int {
	tids := []int{}
	from, to := 0, in.used
	if k == birth {
		from, to = in.limit, len(in.mem.tcbs)
	}
	for i := from; i < to; i++ {
		t := &in.mem.tcbs[i]
		if tid := atomic.LoadUint32(&t.tid); tid != 0 && int(t.kind) == k {
			tids = append(tids, int(tid))
		}
	}
	return tids
}

// mask changes signal masks: each thread sets its own.
func (in *inner) mask(tid int, kind string, block, unblock []int) error {
	var set, clear uint64
	for _, sig := range block {
		set |= 1 << (sig - 1)
	}
	for _, sig := range unblock {
		clear |= 1 << (sig - 1)
	}
	tids := []int{tid}
	if kind != "" {
		k := kindOf(kind)
		if k < 0 {
			return fmt.Errorf("no kind %q", kind)
		}
		tids = in.tids(k)
	}
	for _, tid := range tids {
		_, t, err := in.find(tid)
		if err != nil {
			return err
		}
		was := t.mask
		t.mask = was&^clear | set
		if _, err := in.redirect(t, nil); err != nil {
			t.mask = was
			return err
		}
	}
	return nil
}

// redirect makes a thread set its mask, make the calls of a script, and go
// back to what it did. It returns when the script has run, with its results.
func (in *inner) redirect(t *tcb, script []step) ([]step, error) {
	drain := 0
	if int(t.kind) == epoll && t.aux[1] >= 0 {
		// What wakes it must be gone when it waits again.
		drain = 1
	}
	s, at := in.mem.script(drain + len(script))
	if drain > 0 {
		s[0] = step{nr: unix.SYS_READ, args: [6]uint64{uint64(t.aux[1]), addr(&t.buf[0]), 8}}
	}
	copy(s[drain:], script)
	t.script, t.steps = at, uint64(len(s))
	if err := in.command(t, ctlScript); err != nil {
		t.steps = 0
		return nil, err
	}
	if err := waitFor("a thread to obey", func() bool { return atomic.LoadUint32(&t.state) == 1 }); err != nil {
		return nil, err
	}
	return s[drain:], nil
}

// addSlot makes t a receiver.
func (in *inner) addSlot(t *tcb) error {
	n := int(atomic.LoadUint32(&handlers.nslots))
	free := n
	for i := range n {
		if handlers.slots[i].tcb == 0 {
			free = i
			break
		}
	}
	if free == MaxSlots {
		return errors.New("no room for another receiver")
	}
	s := &handlers.slots[free]
	s.tcb, s.last = addr(t), s.sent
	t.slot = uint8(free)
	if free == n {
		atomic.StoreUint32(&handlers.nslots, uint32(n+1))
	}
	return nil
}

func (in *inner) dropSlot(t *tcb) { handlers.slots[t.slot].tcb = 0 }

// slotTID is the tid of the receiver of slot i, 0 if it is gone.
func (in *inner) slotTID(i int) int {
	for j := range in.used {
		if t := &in.mem.tcbs[j]; t.used && int(t.kind) == recv && int(t.slot) == i {
			return int(atomic.LoadUint32(&t.tid))
		}
	}
	return 0
}
