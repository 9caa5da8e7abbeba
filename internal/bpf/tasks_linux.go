//go:build linux && (amd64 || arm64)

package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/cilium/ebpf"

	"massattach/internal/sys"
)

// Tasks reads what the kernel knows of every thread of one process, some ten
// times as quick as /proc. Its methods may be called from any goroutine.
type Tasks struct {
	program *ebpf.Program
	link    *os.File
}

// OpenTasks prepares to read the threads of process pid, a number in the
// caller's PID namespace. An error says what is missing for that; Linux 6.1 is
// needed. When the process has ended there is nobody to read.
func OpenTasks(pid int) (*Tasks, error) {
	t := new(Tasks)
	if err := t.open(pid); err != nil {
		t.Close()
		return nil, explain("read tasks", err)
	}
	return t, nil
}

// TasksSupported says whether OpenTasks works here, by doing it.
func TasksSupported() error {
	t, err := OpenTasks(os.Getpid())
	if err != nil {
		return err
	}
	return t.Close()
}

func (t *Tasks) open(pid int) error {
	spec, err := loadTasks()
	if err != nil {
		return err
	}
	ns, err := pidNamespace()
	if err != nil {
		return err
	}
	if err := spec.Variables[tasksVarPidNs].Set(ns); err != nil {
		return err
	}
	var loaded struct {
		OnTask *ebpf.Program `ebpf:"on_task"`
	}
	if err := spec.LoadAndAssign(&loaded, &ebpf.CollectionOptions{Cache: kernelTypes}); err != nil {
		return err
	}
	t.program = loaded.OnTask
	t.link, err = sys.LinkTaskIterator(t.program.FD(), pid)
	return err
}

// Close releases the program. It may be called more than once.
func (t *Tasks) Close() error {
	var err error
	if t.link != nil {
		err = t.link.Close()
		t.link = nil
	}
	return errors.Join(err, t.program.Close())
}

// The bits of a record's place.
const (
	placeOnCPU  = 1
	placeQueued = 2
)

// recordSize is that of struct task of tasks.bpf.c.
const recordSize = 8*(8+2+6+1) + 4*4 + 16

// All reads every thread once, each at a moment of its own, in the order of
// their births. An error ends it. A thread that ends while it is read may end the
// pass before its time, without an error (kernel/bpf/task_iter.c,
// task_group_seq_get_next): who wants all has to count.
func (t *Tasks) All() iter.Seq2[Task, error] {
	return func(yield func(Task, error) bool) {
		f, err := sys.OpenIterator(t.link)
		if err != nil {
			yield(Task{}, fmt.Errorf("read tasks: %w", err))
			return
		}
		defer f.Close()
		// The kernel writes whole records, as many as there is room for.
		buf := make([]byte, 256*recordSize)
		for have := 0; ; {
			n, err := f.Read(buf[have:])
			have += n
			whole := have - have%recordSize
			for b := buf[:whole]; len(b) > 0; b = b[recordSize:] {
				if !yield(decode(b), nil) {
					return
				}
			}
			have = copy(buf, buf[whole:have])
			if errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				yield(Task{}, fmt.Errorf("read tasks: %w", err))
				return
			}
		}
	}
}

// decode reads a record.
func decode(b []byte) (t Task) {
	word := func(i int) uint64 { return binary.NativeEndian.Uint64(b[8*i:]) }
	t.Blocked, t.Pending, t.Start = word(0), word(1), time.Duration(word(2))
	t.Ran, t.Waited, t.Runs = time.Duration(word(3)), time.Duration(word(4)), word(5)
	t.Voluntary, t.Involuntary = word(6), word(7)
	t.PC, t.SP = word(8), word(9)
	for i := range t.Args {
		t.Args[i] = word(10 + i)
	}
	t.Call = int(word(16))
	b = b[8*17:]
	half := func(i int) uint32 { return binary.NativeEndian.Uint32(b[4*i:]) }
	t.TID = int(half(0))
	t.State = stateLetter(half(1), half(2))
	t.OnCPU, t.Queued = half(3)&placeOnCPU != 0, half(3)&placeQueued != 0
	comm, _, _ := bytes.Cut(b[16:32], []byte{0})
	t.Comm = string(comm)
	return t
}
