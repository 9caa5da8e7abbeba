//go:build linux && (amd64 || arm64)

package raw

import (
	"errors"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"massattach/internal/sys"
)

// Notifier is the bare programs that arm all threads of a process in notify-resume
// style, and ask who may still run.
type Notifier struct {
	loaded struct {
		Arm     *ebpf.Program  `ebpf:"arm"`
		Query   *ebpf.Program  `ebpf:"query"`
		Threads *ebpf.Map      `ebpf:"threads"`
		Process *ebpf.Variable `ebpf:"process"`
		Pending *ebpf.Variable `ebpf:"pending"`
	}
	tids []int
}

// thread is struct thread of notify.bpf.c.
type thread struct {
	Armed, Ran uint32
	Work       uint64
}

// Notifying loads them for threads of process pid. Linux 6.18 or 6.19 is needed, and
// the initial PID namespace.
func Notifying(pid int, tids []int) (*Notifier, error) {
	n := &Notifier{tids: tids}
	err := loadNotifyObjects(&n.loaded, nil)
	if err == nil {
		err = n.loaded.Process.Set(uint64(pid))
	}
	for _, tid := range tids {
		if err == nil {
			err = n.loaded.Threads.Put(uint32(tid), thread{})
		}
	}
	if err != nil {
		_ = n.Close()
		return nil, err
	}
	return n, nil
}

// Close unloads them.
func (n *Notifier) Close() error {
	l := &n.loaded
	return errors.Join(l.Arm.Close(), l.Query.Close(), l.Threads.Close())
}

// Arm arms all, and asks until nobody may run in user mode.
func (n *Notifier) Arm() (time.Duration, error) {
	begin := time.Now()
	if _, err := n.loaded.Arm.Run(new(ebpf.RunOptions)); err != nil {
		return 0, err
	}
	for pending := uint64(1); pending > 0; {
		if _, err := n.loaded.Query.Run(new(ebpf.RunOptions)); err != nil {
			return 0, err
		}
		if err := n.loaded.Pending.Get(&pending); err != nil {
			return 0, err
		}
	}
	return time.Since(begin), nil
}

// Disarm answers who has reported.
func (n *Notifier) Disarm() (reported []int, err error) {
	for _, tid := range n.tids {
		var t thread
		if err := n.loaded.Threads.Lookup(uint32(tid), &t); err != nil {
			return nil, err
		}
		if t.Ran != 0 {
			reported = append(reported, tid)
		}
		// Who is armed still reports nothing more.
		t.Armed = 0
		if err := n.loaded.Threads.Update(uint32(tid), &t, ebpf.UpdateExist); err != nil {
			return nil, err
		}
	}
	return reported, nil
}

// Pass waits for a stop of each, and lets it run. One that blocks the signal with which
// it reports (the target's own runtime does) has none, and is left alone after a while.
func (a *Arrester) Pass(tids []int) error {
	const while = 5 * time.Millisecond
	_, err := a.on(func() error {
		for _, tid := range tids {
			for begin := time.Now(); ; {
				var ws unix.WaitStatus
				got, err := unix.Wait4(tid, &ws, unix.WALL|unix.WNOTHREAD|unix.WNOHANG, nil)
				if err != nil {
					return err
				}
				if got == tid {
					if err := sys.Cont(tid, 0); err != nil {
						return err
					}
					break
				}
				if time.Since(begin) > while {
					break
				}
			}
		}
		return nil
	})
	return err
}
