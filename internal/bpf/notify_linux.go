//go:build linux && (amd64 || arm64)

package bpf

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
)

// Notify arrests threads in notify-resume style: an armed thread reports before it
// runs another instruction in user mode, by a signal with [sys.Cookie] that it sends
// itself, and that its tracer sees. Its methods may be called from any goroutine.
//
// Threads are tracees of this process, and have their numbers in its PID namespace.
// Who is no tracee, or has ended, is passed over by all of them.
type Notify struct {
	mu      sync.Mutex
	merging sync.RWMutex // for Merged, which does not wait for programs; after mu
	shared  *notifier    // nil after Close; written to with both locks held
	known   map[int]struct{}
	waiting []int  // armed, and perhaps not yet safe
	mutes   uint64 // of all sessions, that were looked for
	pending []int  // what Look answers
	mute    []int
}

// shared is what is loaded, nil when nobody uses it.
var shared struct {
	sync.Mutex
	*notifier
}

// OpenNotify loads what is needed. It knows no thread yet. An error says what is
// missing for that; Linux 6.18 is needed.
//
// It takes some 100 ms the first time, and next to nothing while another is open.
func OpenNotify() (*Notify, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.notifier == nil {
		n, err := openNotifier()
		if err != nil {
			return nil, explain("arrest in the kernel", err)
		}
		shared.notifier = n
	}
	shared.users++
	return &Notify{shared: shared.notifier, known: make(map[int]struct{})}, nil
}

// NotifySupported says whether OpenNotify works here, by doing it.
func NotifySupported() error {
	n, err := OpenNotify()
	if err != nil {
		return err
	}
	return n.Close()
}

// Close disarms all that it knows. It may be called more than once.
func (n *Notify) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shared == nil {
		return nil
	}
	err := n.run(n.shared.programs.Remove, slices.Collect(maps.Keys(n.known)), func(int, answer) {})
	n.merging.Lock()
	n.shared = nil
	n.merging.Unlock()
	shared.Lock()
	defer shared.Unlock()
	if shared.users--; shared.users > 0 {
		return err
	}
	err = errors.Join(err, shared.close())
	shared.notifier = nil
	return err
}

// Add makes threads known, so that it is quicker to arm them; those that are known
// cost nothing. When there is no room
// for some, which the error says, they are not.
func (n *Notify) Add(tids []int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shared == nil {
		return os.ErrClosed
	}
	var fresh []int
	for _, tid := range tids {
		if _, ok := n.known[tid]; !ok {
			fresh = append(fresh, tid)
		}
	}
	return n.add(fresh)
}

// add does that, whether they are known or not. The kernel may be short of memory in the middle of many, for the
// moment that an interrupt takes to bring some.
func (n *Notify) add(tids []int) error {
	full := 0
	for tries := 0; len(tids) > 0; tries++ {
		if tries == 1000 {
			return fmt.Errorf("arrest in the kernel: no entry for %d threads: %w", len(tids), syscall.ENOMEM)
		} else if tries > 0 {
			time.Sleep(time.Duration(tries) * time.Microsecond)
		}
		var absent []int
		err := n.run(n.shared.programs.Add, tids, func(tid int, a answer) {
			switch a {
			case isAbsent:
				absent = append(absent, tid)
			case noRoom:
				full++
			default:
				n.known[tid] = struct{}{}
			}
		})
		if err != nil {
			return err
		}
		tids = absent
	}
	if full > 0 {
		return fmt.Errorf("arrest in the kernel: no room for %d threads: %w", full, syscall.E2BIG)
	}
	return nil
}

// Remove forgets threads. Who is armed still is so no more.
func (n *Notify) Remove(tids []int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shared == nil {
		return os.ErrClosed
	}
	return n.run(n.shared.programs.Remove, tids, func(tid int, _ answer) { delete(n.known, tid) })
}

// Arm has threads report, or report once more.
func (n *Notify) Arm(tids []int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shared == nil {
		return os.ErrClosed
	}
	n.waiting = append(n.waiting, tids...)
	absent, err := n.arm(tids)
	if err != nil || len(absent) == 0 {
		return err
	}
	if err := n.add(absent); err != nil {
		return err
	}
	_, err = n.arm(absent)
	return err
}

// arm answers those that were not added before.
func (n *Notify) arm(tids []int) (absent []int, err error) {
	err = n.run(n.shared.programs.Arm, tids, func(tid int, a answer) {
		if a == isAbsent {
			absent = append(absent, tid)
		}
	})
	return absent, err
}

// Look answers who may still run in user mode, because it is on a CPU and has not
// reported; and who can't report, because no signal comes through to it: each is
// told of once an arming. The slices are valid until the next call.
//
// Who was found off the CPU after it was armed reports before it runs in user mode,
// and is not looked at any more.
func (n *Notify) Look() (pending, mute []int, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shared == nil {
		return nil, nil, os.ErrClosed
	}
	who := n.waiting
	if mutes := n.shared.mute.Load(); mutes != n.mutes {
		n.mutes = mutes
		who = slices.AppendSeq(who[:0], maps.Keys(n.known))
	}
	n.pending, n.mute = n.pending[:0], n.mute[:0]
	err = n.run(n.shared.programs.Look, who, func(tid int, a answer) {
		switch a {
		case isPending:
			n.pending = append(n.pending, tid)
		case isMute:
			n.mute = append(n.mute, tid)
		}
	})
	if err == nil {
		n.waiting = append(who[:0], n.pending...)
	}
	return n.pending, n.mute, err
}

// Disarm has nobody of them report any more. The answer are those who have: their
// signals were seen, or are still to come.
func (n *Notify) Disarm(tids []int) (reported []int, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shared == nil {
		return nil, os.ErrClosed
	}
	err = n.run(n.shared.programs.Disarm, tids, func(tid int, a answer) {
		if a == hasReported {
			reported = append(reported, tid)
		}
	})
	return reported, err
}

// Merged says whether a signal of the target's own was merged into ours, number sig,
// that tid has stopped by, and which: a siginfo_t. It is told once. It waits for none
// of the other methods.
func (n *Notify) Merged(tid int, sig syscall.Signal) (siginfo []byte, merged bool) {
	n.merging.RLock()
	defer n.merging.RUnlock()
	if n.shared == nil {
		return nil, false
	}
	return n.shared.takeMerge(tid, int(sig))
}

func (n *Notify) run(p *ebpf.Program, tids []int, tell func(int, answer)) error {
	if err := n.shared.run(p, tids, tell); err != nil {
		return fmt.Errorf("arrest in the kernel: %w", err)
	}
	return nil
}
