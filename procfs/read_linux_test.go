package procfs

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Names that a thread can give itself, read back in all three ways.
func TestOddNames(t *testing.T) {
	names := []string{"plain", "a b  c", "(", ")", ") S 1 (", "new\nline", "back\\slash\\n", "\xff\xfe\x80", "a/b:c", " lead", "tab\t", "é", "fifteen bytes!!"}
	threads := parkFor(t, len(names), func(i, tid int) {
		if err := os.WriteFile(fmt.Sprintf("/proc/self/task/%d/comm", tid), []byte(names[i]), 0); err != nil {
			t.Error(err)
		}
	})
	p := self(t)
	for i, tid := range threads.tids {
		want := names[i]
		if got, err := p.Comm(tid); got != want || err != nil {
			t.Errorf("comm of %q: %q, %v", want, got, err)
		}
		if st, err := p.Stat(tid); st.Comm != want || err != nil {
			t.Errorf("stat of %q: %q, %v", want, st.Comm, err)
		}
		if st, err := p.Status(tid); st.Name != want || err != nil {
			t.Errorf("status of %q: %q, %v", want, st.Name, err)
		}
	}
	got, err := p.Select(Selection{Comm: "*\n*"}, nil)
	if err != nil || !slices.Equal(got, threads.tids[5:6]) {
		t.Errorf("by newline: %v, %v", got, err)
	}
}

func TestReadOwnThread(t *testing.T) {
	threads := parkFor(t, 1, nil)
	tid, p := threads.tids[0], self(t)
	st, err := p.Stat(tid)
	if err != nil || st.TID != tid || st.PPID != os.Getppid() || st.StartTime == 0 || st.NumThreads < 2 || st.VSize == 0 || st.KernelThread() {
		t.Errorf("stat: %+v, %v", st, err)
	}
	status, err := p.Status(tid)
	if err != nil || status.Pid != tid || status.Tgid != os.Getpid() || status.PPid != os.Getppid() || status.Uid[0] != os.Getuid() ||
		status.Gid[1] != os.Getegid() || status.Threads < 2 || status.SigCgt == 0 || status.InnermostPID() == 0 {
		t.Errorf("status: %+v, %v", status, err)
	}
	id, err := p.Identify(tid)
	if err != nil || id != (ID{TID: tid, Start: st.StartTime}) || id != st.ID() {
		t.Errorf("identity: %+v, %v", id, err)
	}
	for range 2 { // the clock moves on, the account grows
		if s, err := p.Schedstat(tid); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("schedstat: %+v, %v", s, err)
		}
	}
	if w, err := p.Wchan(tid); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("wchan: %q, %v", w, err)
	}
}

// blockInRead parks a thread in read(2) of a pipe.
func blockInRead(t *testing.T) (tid int) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	done, started := make(chan struct{}), make(chan int)
	go func() {
		defer close(done)
		// Locked, so that the tid stays right, and unlocked at the end.
		park := park(1, func(_, tid int) {
			started <- tid
			var b [1]byte
			_, _ = readFD(fds[0], b[:])
		})
		park.stop(0)
	}()
	tid = <-started
	t.Cleanup(func() {
		_ = unix.Close(fds[1])
		<-done
		_ = unix.Close(fds[0])
	})
	return tid
}

func TestSyscallOfBlockedThread(t *testing.T) {
	tid, p := blockInRead(t), self(t)
	var call Syscall
	var err error
	eventually(t, "read", func() bool {
		call, err = p.Syscall(tid)
		return err != nil || call.Name() == "read"
	})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil || call.Nr != unix.SYS_READ || call.Args[2] != 1 || call.SP == 0 || call.PC == 0 {
		t.Errorf("%+v, %v", call, err)
	}
	if kind := p.abi(tid); kind != abiNative {
		t.Errorf("abi %d", kind)
	}
	got, err := p.Select(Selection{Syscall: "read", TIDs: []int{1, tid, tid}}, nil)
	if err != nil || !slices.Equal(got, []int{tid}) {
		t.Errorf("in read: %v, %v", got, err)
	}
	got, err = p.Select(Selection{Syscall: NoSyscall}, nil)
	if err != nil || slices.Contains(got, tid) {
		t.Errorf("in none: %v, %v", got, err)
	}
	if got, err = p.Select(Selection{Syscall: fmt.Sprintf("syscall_%d", unix.SYS_READ)}, nil); err != nil || !slices.Contains(got, tid) {
		t.Errorf("by number: %v, %v", got, err)
	}
	for th, err := range p.Threads(Selection{TIDs: []int{tid}}, DetailAll) {
		if err != nil || th.Syscall != "read" || th.State != 'S' || th.TID != tid || th.Start == 0 || th.Unreadable&^DetailWchan != 0 {
			t.Errorf("%+v, %v", th, err)
		}
	}
}

func TestSyscallTable(t *testing.T) {
	for name, nr := range map[string]int{"read": unix.SYS_READ, "futex": unix.SYS_FUTEX, "epoll_pwait": unix.SYS_EPOLL_PWAIT,
		"clone3": unix.SYS_CLONE3, "semtimedop": unix.SYS_SEMTIMEDOP, "listns": unix.SYS_LISTNS} {
		if len(syscallNames) == 0 {
			t.Skip("no table on this architecture")
		}
		if got := SyscallName(nr); got != name {
			t.Errorf("%d: %q, want %q", nr, got, name)
		}
	}
}

func TestErrorText(t *testing.T) {
	for want, e := range map[string]*Error{
		"procfs: read stat of thread 2 of process 1: no such process": {Op: "read stat", PID: 1, TID: 2, Err: unix.ESRCH},
		"procfs: read status of thread 2: operation not permitted":    {Op: "read status", TID: 2, Err: unix.EPERM},
		"procfs: list threads of process 1: no such process":          {Op: "list threads", PID: 1, Err: unix.ESRCH},
		"procfs: open process 1: no such file or directory":           {Op: "open", PID: 1, Err: unix.ENOENT},
		"procfs: read loadavg: " + ErrFormat.Error():                  {Op: "read loadavg", Err: ErrFormat},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if errors.Is(&Error{Err: unix.EPERM}, os.ErrNotExist) || !errors.Is(&Error{Err: unix.EPERM}, os.ErrPermission) {
		t.Error("EPERM")
	}
}

// A status that is larger than the first buffer: 65,536 groups.
func TestLargeFile(t *testing.T) {
	root := t.TempDir()
	groups := "Groups:\t" + strings.Repeat("1234567890 ", 65536) + "\n"
	write(t, root+"/5/task/5/status", "Name:\tx\nTgid:\t5\n"+groups+"Pid:\t5\n")
	p := openProcess(t, FS{Root: root}, 5)
	if st, err := p.Status(5); err != nil || st.Pid != 5 || st.Name != "x" {
		t.Errorf("%+v, %v", st, err)
	}
	write(t, root+"/5/task/5/status", "Tgid:\t5\nGroups:\t"+strings.Repeat("1", fileMax)+"\nPid:\t5\n")
	if st, err := p.Status(5); err != nil || st.Tgid != 5 || st.Pid != 0 {
		t.Errorf("beyond the limit: %+v, %v", st, err)
	}
}
