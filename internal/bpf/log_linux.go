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

// birthLog is the kernel's log of births and execs (births.bpf.c), and the
// goroutine that hands its entries to those whose process they are about. All
// processes that are followed share one: another would cost 3 MB, 10 ms, and
// each thread that is born on the machine a little time.
type birthLog struct {
	programs birthsLoaded
	links    []link.Link
	bell     *ringbuf.Reader
	rung     ringbuf.Record
	shared   *sys.Shared
	clock    time.Duration // ours, less the kernel's

	head, awake             *atomic.Uint64
	entries, last, followed []atomic.Uint64
	tail                    uint64 // the reader's
	ended                   atomic.Bool
	reading                 sync.WaitGroup

	mu      sync.RWMutex
	readers map[int][]*Births // by process
}

// birthsMemory is the map of what is shared with the programs, and memoryWords its
// length.
const (
	birthsMemory = ".bss"
	memoryWords  = mostTarget + logSize*entryWords + logSize + 2
)

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
	wordWho // the thread, and the process in the upper half
	wordDead
	entryWords
)

const (
	logSize    = 65536 // entries
	mostTarget = 65536 // places for processes

	// longestRest is how long the log is left alone at the most after a birth:
	// most who end young have ended by then, and cost nobody a wake-up. It is
	// half of what readers wait for anyway, or less: see Hear.
	longestRest = 5 * time.Millisecond
)

// openLog loads the programs; nobody is followed yet.
func openLog() (*birthLog, error) {
	l := &birthLog{readers: make(map[int][]*Births)}
	if err := l.open(); err != nil {
		_ = l.close() // the first error says more
		return nil, err
	}
	l.reading.Go(l.run)
	return l, nil
}

func (l *birthLog) open() error {
	spec, err := loadBirths()
	if err != nil {
		return err
	}
	ns, err := pidNamespace()
	if err != nil {
		return err
	}
	if err := spec.Variables[birthsVarPidNs].Set(ns); err != nil {
		return err
	}
	if l.clock, err = clockOffset(); err != nil {
		return err
	}
	spec.Maps[birthsMemory].Contents = nil // zeros, as the kernel makes it
	if err := spec.LoadAndAssign(&l.programs, &ebpf.CollectionOptions{Cache: kernelTypes}); err != nil {
		return err
	}
	if l.bell, err = ringbuf.NewReader(l.programs.Bell); err != nil {
		return err
	}
	memory := l.programs.Memory
	if size := memory.ValueSize(); size != 8*memoryWords {
		return fmt.Errorf("the log has %d bytes, and not %d", size, 8*memoryWords)
	}
	if l.shared, err = sys.MapShared(memory.FD(), int(memory.ValueSize())); err != nil {
		return err
	}
	words := l.shared.Words
	l.followed, words = words[:mostTarget], words[mostTarget:]
	l.entries, words = words[:logSize*entryWords], words[logSize*entryWords:]
	l.last, words = words[:logSize], words[logSize:]
	l.head, l.awake = &words[0], &words[1]
	// Births last: who is in the log is heard of when it ends.
	for _, p := range []*ebpf.Program{l.programs.OnExit, l.programs.OnExec, l.programs.OnFork} {
		a, err := link.AttachTracing(link.TracingOptions{Program: p})
		if err != nil {
			return err
		}
		l.links = append(l.links, a)
	}
	return nil
}

// close ends the reader and unloads the programs.
func (l *birthLog) close() error {
	var errs []error
	l.ended.Store(true)
	if l.bell != nil {
		errs = append(errs, l.bell.Close())
	}
	l.reading.Wait()
	if l.shared != nil {
		errs = append(errs, l.shared.Close())
	}
	for _, a := range l.links {
		errs = append(errs, a.Close())
	}
	p := &l.programs
	return errors.Join(append(errs, p.OnFork.Close(), p.OnExit.Close(), p.OnExec.Close(), p.Bell.Close(), p.Memory.Close())...)
}

// add has b hear of its process from now on. It answers false if another process
// has the place of that.
func (l *birthLog) add(b *Births) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	place := &l.followed[b.pid%mostTarget]
	if other := place.Load(); other != 0 && other != uint64(b.pid) {
		return false
	}
	b.log = l
	b.taken = l.head.Load()
	l.readers[b.pid] = append(l.readers[b.pid], b)
	place.Store(uint64(b.pid))
	return true
}

// remove takes that back. It says whether nobody is left.
func (l *birthLog) remove(b *Births) (unused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.readers[b.pid][:0]
	for _, o := range l.readers[b.pid] {
		if o != b {
			left = append(left, o)
		}
	}
	if l.readers[b.pid] = left; len(left) == 0 {
		delete(l.readers, b.pid)
		l.followed[b.pid%mostTarget].Store(0)
	}
	return len(l.readers) == 0
}

// run reads the log until it is closed.
func (l *birthLog) run() {
	// It has a thread of its own, which does not wait its turn behind those
	// whose births it reads of.
	defer sys.Urgent()()
	for !l.ended.Load() {
		if l.doze() {
			_ = l.bell.ReadInto(&l.rung) // if it fails, look without being woken
		}
		if l.ended.Load() {
			return
		}
		if d := l.rest(); d > 0 {
			// Not a nap in a system call: Go's monitor would take the P away,
			// and be busy for a millisecond each time.
			time.Sleep(d)
		}
		l.move()
	}
}

// rest is how long the log may be left alone now.
func (l *birthLog) rest() time.Duration {
	l.mu.RLock()
	defer l.mu.RUnlock()
	d := longestRest
	for _, bs := range l.readers {
		for _, b := range bs {
			d = min(d, time.Duration(b.age.Load())/2)
		}
	}
	return d
}

// doze asks to be woken, unless there is something to read already. It looks
// after it has asked, and the program asks after it has written: one of the two
// sees the other.
func (l *birthLog) doze() bool {
	l.awake.Store(0)
	if l.head.Load() == l.tail {
		return true
	}
	l.awake.Store(1)
	return false
}

// move hands out what is in the log, but those who have ended already.
func (l *birthLog) move() {
	l.mu.RLock()
	defer l.mu.RUnlock()
	head := l.head.Load()
	now, clock := time.Now(), monotonic()-l.clock
	lost := 0
	if behind := head - l.tail; behind > logSize {
		lost = int(behind - logSize)
		l.tail = head - logSize
	}
	for ; l.tail < head; l.tail++ {
		e := l.entry(l.tail)
		seq := e[wordSeq].Load()
		if seq < l.tail+1 { // being written
			break
		}
		at := now.Add(time.Duration(e[wordBorn].Load()) - clock)
		tid, pid := who(e)
		dead := e[wordDead].Load() != 0
		if seq > l.tail+1 || e[wordSeq].Load() != seq { // overwritten since
			lost++
			continue
		}
		for _, b := range l.readers[pid] {
			b.put(entry{Birth{TID: tid, At: at}, seq}, dead)
		}
	}
	if lost > 0 {
		// Whose they were nobody knows.
		for _, bs := range l.readers {
			for _, b := range bs {
				b.lose(lost)
			}
		}
	}
}

func (l *birthLog) entry(i uint64) []atomic.Uint64 {
	return l.entries[i%logSize*entryWords:][:entryWords]
}

// who is the thread that an entry is about, 0 for an exec, and its process.
func who(e []atomic.Uint64) (tid, pid int) {
	w := e[wordWho].Load()
	return int(uint32(w)), int(w >> 32)
}

// alive says whether the thread of the entry with this number lives, as far as
// the log still knows.
func (l *birthLog) alive(seq uint64) bool {
	e := l.entry(seq - 1)
	return e[wordDead].Load() == 0 || e[wordSeq].Load() != seq
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
