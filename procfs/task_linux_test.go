package procfs

import (
	"errors"
	"io/fs"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// An opened thread says what the process says of it, as often as it is asked; when
// it has ended it is gone, also for files that are open.
func TestTask(t *testing.T) {
	threads := parkFor(t, 2, nil)
	p := self(t)
	tid := threads.tids[0]
	task, err := p.Task(tid)
	if err != nil {
		t.Fatal(err)
	}
	defer task.Close()
	if task.TID() != tid {
		t.Errorf("%d, want %d", task.TID(), tid)
	}
	for range 2 {
		eventually(t, "both say the same", func() bool {
			st1, err1 := task.Stat()
			st2, err2 := p.Stat(tid)
			s1, err3 := task.Status()
			s2, err4 := p.Status(tid)
			r1, err5 := task.Schedstat()
			r2, err6 := p.Schedstat(tid)
			c1, err7 := task.Syscall()
			c2, err8 := p.Syscall(tid)
			w1, err9 := task.Wchan()
			w2, err10 := p.Wchan(tid)
			if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9, err10); err != nil {
				t.Fatal(err)
			}
			return st1.ID() == st2.ID() && st1.Comm == st2.Comm && cmp.Equal(s1.Uid, s2.Uid) && s1.Pid == s2.Pid &&
				r1 == r2 && c1 == c2 && w1 == w2
		})
	}
	threads.stop(0)
	eventually(t, "the thread ends", func() bool { return p.exists(tid) != nil })
	_, err1 := task.Stat()
	_, err2 := task.Schedstat() // its file is open
	_, err3 := task.Syscall()
	_, err4 := task.Wchan()
	_, err5 := p.Task(tid)
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%d: %v", i+1, err)
		}
	}
	if _, err := p.Task(1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another process's: %v", err)
	}
}

func TestTaskMemory(t *testing.T) {
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(page)
	copy(page, "what is there")
	task, err := self(t).Task(parkFor(t, 1, nil).tids[0])
	if err != nil {
		t.Fatal(err)
	}
	defer task.Close()
	at := uint64(reflect.ValueOf(page).Pointer())
	buf := make([]byte, 13)
	if err := task.ReadAt(buf, at); err != nil || string(buf) != "what is there" {
		t.Errorf("%q, %v", buf, err)
	}
	if err := task.ReadAt(nil, at); err != nil {
		t.Error(err)
	}
	if err := task.ReadAt(buf, 16); !errors.Is(err, unix.EIO) {
		t.Error(err)
	}
	if err := task.ReadAt(buf, 1<<63); !errors.Is(err, unix.EINVAL) {
		t.Error(err)
	}
}

// A kernel without the file is told from a thread that is gone.
func TestTaskWithoutFile(t *testing.T) {
	root := t.TempDir()
	fakeTree(t, root, 5, fakeThread{tid: 5, comm: "five", state: "S"})
	task, err := openProcess(t, FS{Root: root}, 5).Task(5)
	if err != nil {
		t.Fatal(err)
	}
	defer task.Close()
	if _, err := task.Schedstat(); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	write(t, root+"/5/task/5/schedstat", "1 2 3\n")
	if s, err := task.Schedstat(); err != nil || s.Runs != 3 {
		t.Errorf("%+v, %v", s, err)
	}
	write(t, root+"/5/task/5/schedstat", "1 2 4\n") // read anew
	if s, err := task.Schedstat(); err != nil || s.Runs != 4 {
		t.Errorf("%+v, %v", s, err)
	}
	write(t, root+"/5/task/5/schedstat", "1 2\n")
	if _, err := task.Schedstat(); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

func TestTaskOfClosed(t *testing.T) {
	p, err := FS{}.Open(unix.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	if _, err := p.Task(unix.Getpid()); !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
}
