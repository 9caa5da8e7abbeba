package stopper

import (
	"errors"
	"io/fs"
	"syscall"

	"massattach/internal/sys"
	"massattach/procfs"
)

// people is the process whose threads are examined: one in /proc, or a fake.
type people interface {
	Open(tid int) (subject, error) // fs.ErrNotExist: there is no such thread
	// Pick lists the threads that sel picks. Where that took a look at them the
	// start is given of who was looked at, else 0. With an error, as far as it came.
	Pick(sel procfs.Selection) ([]procfs.ID, error)
	NumThreads() (int, error)
	Names() namer
	Close() error
}

// subject is one thread: a [procfs.Task], or a fake. It stays that thread,
// whoever has its number later.
type subject interface {
	Schedstat() (procfs.Schedstat, error)
	Syscall() (procfs.Syscall, error)
	Stat() (procfs.Stat, error)
	Status() (procfs.Status, error)
	Wchan() (string, error)
	ReadAt(buf []byte, addr uint64) error
	Close() error
}

// namer is a [procfs.Names], or a fake.
type namer interface {
	Syscall(tid, nr int) string
	Compat(tid int) bool
}

type procPeople struct{ *procfs.Process }

func (p procPeople) Names() namer { return p.Process.Names() }

func (p procPeople) Pick(sel procfs.Selection) (ids []procfs.ID, err error) {
	if !sel.Looks() {
		tids, err := p.Select(sel, nil)
		for _, tid := range tids {
			ids = append(ids, procfs.ID{TID: tid})
		}
		return ids, err
	}
	for t, terr := range p.Threads(sel, procfs.DetailState) {
		if err = terr; err == nil {
			ids = append(ids, procfs.ID{TID: t.TID, Start: t.Start})
		}
	}
	return ids, err
}

func (p procPeople) Open(tid int) (subject, error) {
	t, err := p.Task(tid)
	if err != nil {
		return nil, err
	}
	return procSubject{t}, nil
}

type procSubject struct{ *procfs.Task }

// ReadAt asks by process_vm_readv first, which needs no file. That one takes a
// number: if the thread has ended it may be another's by now, and the check that
// follows each look says that it has.
func (s procSubject) ReadAt(buf []byte, addr uint64) error {
	err := sys.ReadMemory(s.TID(), addr, buf)
	switch {
	case err == nil, errors.Is(err, syscall.ESRCH):
		return err
	}
	// What may not be read by the program itself, or a kernel, or a seccomp
	// filter, without that call.
	if ferr := s.Task.ReadAt(buf, addr); !errors.Is(ferr, fs.ErrPermission) {
		return ferr
	}
	return err
}
