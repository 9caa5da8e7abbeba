//go:build linux && (amd64 || arm64)

package bpf

import (
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Births hears of the births of the threads of one process. Its methods may be
// called from any goroutine; Hear and Wait are for one at a time.
type Births struct {
	log    *birthLog
	pid    int
	more   chan struct{} // has room for one: something came
	closed chan struct{}
	age    atomic.Int64 // that Hear was last asked for, in ns

	mu    sync.Mutex
	queue []entry // not taken out yet, in their order
	taken uint64  // the seq up to which none is left to be taken out
	short int
	lost  int
	execs int
	over  bool // closed
}

// entry is a birth that the log has told of.
type entry struct {
	Birth
	seq uint64
}

// logs are those that are open: one, unless two processes want the same place.
var logs struct {
	sync.Mutex
	open []*birthLog
}

// OpenBirths begins to hear of the births of process pid, a number in the
// caller's PID namespace: of all that happen after it has returned. An error
// says what is missing for that.
//
// It takes some 50 ms the first time, when the kernel's BTF is read, and next to
// nothing while another process is followed.
func OpenBirths(pid int) (*Births, error) {
	b := &Births{pid: pid, more: make(chan struct{}, 1), closed: make(chan struct{})}
	logs.Lock()
	defer logs.Unlock()
	if slices.ContainsFunc(logs.open, func(l *birthLog) bool { return l.add(b) }) {
		return b, nil
	}
	l, err := openLog()
	if err != nil {
		return nil, explain("hear of births", err)
	}
	logs.open = append(logs.open, l)
	l.add(b)
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

// Close ends it, and a Wait. What was not heard is lost.
func (b *Births) Close() error {
	b.mu.Lock()
	over := b.over
	b.over = true
	b.mu.Unlock()
	if over {
		return nil
	}
	close(b.closed)
	logs.Lock()
	unused := b.log.remove(b)
	if unused {
		logs.open = slices.DeleteFunc(logs.open, func(l *birthLog) bool { return l == b.log })
	}
	logs.Unlock()
	if !unused {
		return nil
	}
	return b.log.close() // nobody else can come upon it, or has to wait for its reader
}

// put queues what the log tells of. Nobody is woken for one that is dead.
func (b *Births) put(e entry, dead bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case dead:
		b.short++
		return
	case e.TID == 0:
		b.execs++
	default:
		if len(b.queue) >= logSize {
			b.makeRoom()
		}
		b.queue = append(b.queue, e)
	}
	b.ring()
}

// makeRoom drops who has ended from a queue that is full because nobody is old
// enough yet, and, if these are not many, the older half of all.
func (b *Births) makeRoom() {
	before := len(b.queue)
	b.queue = slices.DeleteFunc(b.queue, func(e entry) bool { return !b.log.alive(e.seq) })
	b.short += before - len(b.queue)
	if n := logSize / 2; len(b.queue) > n {
		b.lost += n
		b.taken = b.queue[n-1].seq
		b.queue = slices.Delete(b.queue, 0, n)
	}
}

// lose notes that births may have been lost.
func (b *Births) lose(n int) {
	b.mu.Lock()
	b.lost += n
	b.mu.Unlock()
	b.ring()
}

func (b *Births) ring() {
	select {
	case b.more <- struct{}{}:
	default:
	}
}

// Wait sleeps until there is something to hear, if everything was heard. It may
// wake for nothing. After Close the error is [os.ErrClosed].
func (b *Births) Wait() error {
	select {
	case <-b.closed:
		return os.ErrClosed
	default:
	}
	select {
	case <-b.closed:
		return os.ErrClosed
	case <-b.more:
		return nil
	}
}

// Hear takes those out of the log who were born age ago or earlier, and says so
// in h, whose slice it uses again. A birth needs up to half of age to come here,
// and 5 ms at the most. After Close nothing is heard.
func (b *Births) Hear(age time.Duration, h *Heard) {
	b.age.Store(int64(age))
	*h = Heard{Ripe: h.Ripe[:0]}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	h.Short, h.Lost, h.Execs = b.short, b.lost, b.execs
	b.short, b.lost, b.execs = 0, 0, 0
	now := time.Now()
	n := 0
	for _, e := range b.queue {
		if ripe := e.At.Add(age); ripe.After(now) {
			h.Next = ripe
			break
		}
		n++
		b.taken = e.seq
		if b.log.alive(e.seq) {
			h.Ripe = append(h.Ripe, e.Birth)
		} else {
			h.Short++
		}
	}
	b.queue = slices.Delete(b.queue, 0, n)
}

// Pending says whether tid is in the log, alive, and was not taken out yet.
func (b *Births) Pending(tid int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return false
	}
	seq := b.log.last[tid%logSize].Load()
	return seq > b.taken && b.has(seq, tid)
}

// Alive is how many are in the log, alive, and were not taken out yet.
func (b *Births) Alive() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return 0
	}
	head := b.log.head.Load()
	for i := max(b.taken, head-min(head, logSize)); i < head; i++ {
		if b.has(i+1, 0) {
			n++
		}
	}
	return n
}

// has says whether an entry is about a living thread of the process: tid, or 0
// for any.
func (b *Births) has(seq uint64, tid int) bool {
	e := b.log.entry(seq - 1)
	thread, pid := who(e)
	return pid == b.pid && thread != 0 && (tid == 0 || thread == tid) &&
		e[wordDead].Load() == 0 && e[wordSeq].Load() == seq
}
