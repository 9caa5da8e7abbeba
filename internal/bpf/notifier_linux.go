//go:build linux && (amd64 || arm64)

package bpf

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"

	"massattach/internal/sys"
)

// notifier is what of notify.bpf.h is in the kernel. All sessions of this process
// share one: it knows threads, not whose they are.
type notifier struct {
	programs notifyLoaded
	onSignal link.Link
	users    int // guarded by the lock of shared

	mu          sync.Mutex // one program at a time, as they share the list
	memory      *sys.Shared
	list        []atomic.Uint64
	count, mute *atomic.Uint64
}

// notifyLoaded is the object, either of the two.
type notifyLoaded struct {
	Add      *ebpf.Program `ebpf:"add"`
	Remove   *ebpf.Program `ebpf:"remove"`
	Arm      *ebpf.Program `ebpf:"arm"`
	Look     *ebpf.Program `ebpf:"look"`
	Disarm   *ebpf.Program `ebpf:"disarm"`
	OnSignal *ebpf.Program `ebpf:"on_signal"`
	Threads  *ebpf.Map     `ebpf:"threads"`
	Merges   *ebpf.Map     `ebpf:"merges"`
	Memory   *ebpf.Map     `ebpf:".bss"`
}

const listSize = 65536 // LIST

// answer is what a program makes of an entry of the list (enum answer).
type answer uint64

const (
	nothing answer = iota
	isPending
	isMute
	hasReported
	isAbsent
	noRoom
)

// openNotifier loads the programs; no thread is known yet.
func openNotifier() (*notifier, error) {
	n := new(notifier)
	if err := n.open(); err != nil {
		_ = n.close() // the first error says more
		return nil, err
	}
	return n, nil
}

func (n *notifier) open() error {
	spec, err := notifySpec()
	if err != nil {
		return err
	}
	ns, err := pidNamespace()
	if err != nil {
		return err
	}
	if err := spec.Variables[notifyVarPidNs].Set(ns); err != nil {
		return err
	}
	if err := spec.LoadAndAssign(&n.programs, &ebpf.CollectionOptions{Cache: kernelTypes}); err != nil {
		return err
	}
	memory := n.programs.Memory
	if n.memory, err = sys.MapShared(memory.FD(), int(memory.ValueSize())); err != nil {
		return err
	}
	variable := func(name string) []atomic.Uint64 { return n.memory.Words[spec.Variables[name].Offset/8:] }
	n.list = variable(notifyVarList)[:listSize]
	n.count, n.mute = &variable(notifyVarCount)[0], &variable(notifyVarMutes)[0]
	// For good, and not while somebody is armed: a signal of ours may be pending still
	// when nobody is any more, and it would take 0.2 ms each time. It costs every signal
	// of the machine some 0.2 µs (BenchmarkNotifySignal), of more than 1.
	n.onSignal, err = link.AttachTracing(link.TracingOptions{Program: n.programs.OnSignal})
	return err
}

// notifySpec is the object for this kernel: Linux 7.0 has another name, and no
// last argument, for what 6.18 had first.
func notifySpec() (*ebpf.CollectionSpec, error) {
	kernel, err := kernelTypes.Kernel()
	if err != nil {
		return nil, err
	}
	var f *btf.Func
	if err := kernel.TypeByName("bpf_task_work_schedule_resume", &f); err == nil {
		return loadNotify70()
	}
	if err := kernel.TypeByName("bpf_task_work_schedule_resume_impl", &f); err != nil {
		return nil, fmt.Errorf("a kernel without bpf_task_work_schedule_resume: %w", ebpf.ErrNotSupported)
	}
	return loadNotify()
}

// close unloads the programs. Works that are queued are taken back.
func (n *notifier) close() error {
	var errs []error
	if n.onSignal != nil {
		errs = append(errs, n.onSignal.Close())
	}
	if n.memory != nil {
		errs = append(errs, n.memory.Close())
	}
	p := &n.programs
	return errors.Join(append(errs, p.Add.Close(), p.Remove.Close(), p.Arm.Close(), p.Look.Close(), p.Disarm.Close(),
		p.OnSignal.Close(), p.Threads.Close(), p.Merges.Close(), p.Memory.Close())...)
}

// run has a program go through tids, and tells what it answers of each.
func (n *notifier) run(p *ebpf.Program, tids []int, tell func(tid int, a answer)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(tids) > 0 {
		some := tids[:min(len(tids), listSize)]
		for i, tid := range some {
			n.list[i].Store(uint64(tid))
		}
		n.count.Store(uint64(len(some)))
		if _, err := p.Run(new(ebpf.RunOptions)); err != nil {
			return err
		}
		for i, tid := range some {
			tell(tid, answer(n.list[i].Load()))
		}
		tids = tids[len(some):]
	}
	return nil
}

// takeMerge answers what was merged into a signal of ours, and forgets it.
func (n *notifier) takeMerge(tid, sig int) (siginfo []byte, merged bool) {
	var which [2]uint32
	which[0], which[1] = uint32(tid), uint32(sig)
	siginfo = make([]byte, n.programs.Merges.ValueSize())
	if err := n.programs.Merges.LookupAndDelete(which, siginfo); err != nil {
		return nil, false
	}
	return append(siginfo, make([]byte, sys.SiginfoSize-len(siginfo))...), true
}
