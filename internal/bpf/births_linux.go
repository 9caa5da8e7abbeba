//go:build linux && (amd64 || arm64)

package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"massattach/internal/sys"
)

// Births hears of the births of the threads of one process. One goroutine may
// call Hear and Wait; Pending, Alive and Close are for any.
//
// The kernel writes what happens into a log that is mapped here (births.bpf.c);
// it wakes a reader only that waits because the log was empty.
type Births struct {
	programs birthsLoaded
	links    []link.Link
	bell     *ringbuf.Reader
	rung     ringbuf.Record

	mu                 sync.RWMutex // held for reading by whoever looks at the shared memory
	shared             *sys.Shared  // nil when closed
	head, execs, awake *atomic.Uint64
	log                []atomic.Uint64 // entries of entryWords
	last               []atomic.Uint64

	clock time.Duration // ours, less the kernel's
	tail  atomic.Uint64 // births that were looked at
	heard uint64        // execs that were told
}

// birthsLoaded is what of the object is in the kernel.
type birthsLoaded struct {
	OnFork *ebpf.Program `ebpf:"on_fork"`
	OnExit *ebpf.Program `ebpf:"on_exit"`
	OnExec *ebpf.Program `ebpf:"on_exec"`
	Bell   *ebpf.Map     `ebpf:"bell"`
	Memory *ebpf.Map     `ebpf:".bss"`
}

// An entry of the log, in words: struct birth of births.bpf.c.
const (
	wordSeq = iota
	wordBorn
	wordTID
	wordDead
	entryWords
)

// entries is how many the log has.
const entries = 65536

// OpenBirths begins to hear of the births of process pid, a number in the
// caller's PID namespace: of all that happen after it has returned. An error
// says what is missing for that.
//
// It takes some 50 ms the first time, when the kernel's BTF is read.
func OpenBirths(pid int) (*Births, error) {
	b := new(Births)
	if err := b.open(pid); err != nil {
		b.Close()
		return nil, explain("hear of births", err)
	}
	return b, nil
}

// BirthsSupported says whether OpenBirths works here, by doing it.
func BirthsSupported() error {
	b, err := OpenBirths(os.Getpid())
	if err != nil {
		return err
	}
	return b.Close()
}

func (b *Births) open(pid int) error {
	spec, err := loadBirths()
	if err != nil {
		return err
	}
	ns, err := pidNamespace()
	if err != nil {
		return err
	}
	err = errors.Join(spec.Variables[birthsVarTarget].Set(uint32(pid)), spec.Variables[birthsVarPidNs].Set(ns))
	if err != nil {
		return err
	}
	if b.clock, err = clockOffset(); err != nil {
		return err
	}
	if err := spec.LoadAndAssign(&b.programs, &ebpf.CollectionOptions{Cache: kernelTypes}); err != nil {
		return err
	}
	if b.bell, err = ringbuf.NewReader(b.programs.Bell); err != nil {
		return err
	}
	memory := b.programs.Memory
	if b.shared, err = sys.MapShared(memory.FD(), int(memory.ValueSize())); err != nil {
		return err
	}
	variable := func(name string) []atomic.Uint64 { return b.shared.Words[spec.Variables[name].Offset/8:] }
	b.head, b.execs, b.awake = &variable(birthsVarHead)[0], &variable(birthsVarExecs)[0], &variable(birthsVarAwake)[0]
	b.log = variable(birthsVarBirths)[:entries*entryWords]
	b.last = variable(birthsVarLast)[:entries]
	// Births last: who is in the log is heard of when it ends.
	for _, p := range []*ebpf.Program{b.programs.OnExit, b.programs.OnExec, b.programs.OnFork} {
		l, err := link.AttachTracing(link.TracingOptions{Program: p})
		if err != nil {
			return err
		}
		b.links = append(b.links, l)
	}
	return nil
}

// Close ends it, and a Wait. What was not heard is lost.
func (b *Births) Close() error {
	var errs []error
	if b.bell != nil {
		errs = append(errs, b.bell.Close())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shared != nil {
		errs = append(errs, b.shared.Close())
		b.shared = nil
	}
	for _, l := range b.links {
		errs = append(errs, l.Close())
	}
	b.links = nil
	for _, p := range []*ebpf.Program{b.programs.OnFork, b.programs.OnExit, b.programs.OnExec} {
		errs = append(errs, p.Close())
	}
	return errors.Join(append(errs, b.programs.Bell.Close(), b.programs.Memory.Close())...)
}

// Wait sleeps until there is something to hear, if everything was heard. It may
// wake for nothing. After Close the error is [os.ErrClosed].
func (b *Births) Wait() error {
	if idle, err := b.doze(); err != nil || !idle {
		return err
	}
	err := b.bell.ReadInto(&b.rung)
	if errors.Is(err, ringbuf.ErrClosed) {
		return os.ErrClosed
	}
	return err
}

// doze asks to be woken, unless there is something to hear already. It looks
// after it has asked, and the program asks after it has written: one of the two
// sees the other.
func (b *Births) doze() (idle bool, err error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.shared == nil {
		return false, os.ErrClosed
	}
	b.awake.Store(0)
	if b.head.Load() == b.tail.Load() && b.execs.Load() == b.heard {
		return true, nil
	}
	b.awake.Store(1)
	return false, nil
}

// Hear takes those out of the log who were born age ago or earlier, and says so
// in h, whose slice it uses again. After Close it hears nothing.
func (b *Births) Hear(age time.Duration, h *Heard) {
	*h = Heard{Ripe: h.Ripe[:0]}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.shared == nil {
		return
	}
	execs := b.execs.Load()
	h.Execs, b.heard = int(execs-b.heard), execs
	now, clock := time.Now(), monotonic()-b.clock
	tail, head := b.tail.Load(), b.head.Load()
	if behind := head - tail; behind > entries {
		h.Lost = int(behind - entries)
		tail = head - entries
	}
	for ; tail < head; tail++ {
		e := b.entry(tail)
		seq := e[wordSeq].Load()
		if seq > tail+1 { // overwritten since
			h.Lost++
			continue
		}
		if seq != tail+1 { // being written
			h.Next = now
			break
		}
		at := now.Add(time.Duration(e[wordBorn].Load()) - clock)
		tid, dead := int(e[wordTID].Load()), e[wordDead].Load() != 0
		if e[wordSeq].Load() != seq {
			h.Lost++
			continue
		}
		if ripe := at.Add(age); ripe.After(now) {
			h.Next = ripe
			break
		}
		if dead {
			h.Short++
		} else {
			h.Ripe = append(h.Ripe, Birth{TID: tid, At: at})
		}
	}
	b.tail.Store(tail)
}

func (b *Births) entry(i uint64) []atomic.Uint64 {
	return b.log[i%entries*entryWords:][:entryWords]
}

// Pending says whether tid is in the log, alive, and was not taken out yet.
func (b *Births) Pending(tid int) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.shared == nil {
		return false
	}
	seq := b.last[tid%entries].Load()
	if seq <= b.tail.Load() { // 0: there was none
		return false
	}
	e := b.entry(seq - 1)
	return e[wordTID].Load() == uint64(tid) && e[wordDead].Load() == 0 && e[wordSeq].Load() == seq
}

// Alive is how many are in the log, alive, and were not taken out yet.
func (b *Births) Alive() (n int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.shared == nil {
		return 0
	}
	for i, head := b.tail.Load(), b.head.Load(); i < head; i++ {
		if e := b.entry(i); e[wordSeq].Load() == i+1 && e[wordDead].Load() == 0 {
			n++
		}
	}
	return n
}

// monotonic is CLOCK_MONOTONIC.
func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it can't fail
	return time.Duration(ts.Nano())
}

// clockOffset is how far CLOCK_MONOTONIC is ahead of the initial time
// namespace's here (time_namespaces(7)).
func clockOffset() (time.Duration, error) {
	const path = "/proc/self/timens_offsets"
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // no time namespaces
	} else if err != nil {
		return 0, err
	}
	var s, ns time.Duration
	if _, err := fmt.Sscanf(string(b), "monotonic %d %d", &s, &ns); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return s*time.Second + ns, nil
}

// initialPIDNamespace is the inode of the initial PID namespace
// (include/linux/proc_ns.h, PROC_PID_INIT_INO).
const initialPIDNamespace = 0xEFFFFFFC

// pidNamespace is the inode of ours, 0 for the initial one.
func pidNamespace() (uint32, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: "/proc/self/ns/pid", Err: err}
	}
	if st.Ino == initialPIDNamespace {
		return 0, nil
	}
	return uint32(st.Ino), nil
}
