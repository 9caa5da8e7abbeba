//go:build linux && (amd64 || arm64)

package notify_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"massattach/stopper/notify"
)

// userfaultfd(2), include/uapi/linux/userfaultfd.h
const (
	uffdAPI      = 0xaa
	uffdioAPI    = 0xc018aa3f
	uffdRegister = 0xc020aa00
	uffdZeroPage = 0xc020aa04
)

var pageSize = os.Getpagesize()

func uffdio(fd int, req uintptr, arg *[4]uint64) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), req, uintptr(unsafe.Pointer(arg))); errno != 0 {
		return errno
	}
	return nil
}

// A thread that waits in a page fault, in no system call, does not go on in user
// mode when it has its page.
func TestPageFault(t *testing.T) {
	needTaskWork(t)
	needRoot(t)
	counter := filepath.Join(t.TempDir(), "counter")
	if err := os.WriteFile(counter, make([]byte, pageSize), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "fault")
	// A preemption of the runtime's would wake it in its fault.
	cmd.Env = append(cmd.Env, "COUNTER="+counter, "GODEBUG=asyncpreemptoff=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if line == "not supported\n" {
		t.Skip("no userfaultfd here")
	}
	var tid, fd int
	var page uint64
	if _, e := fmt.Sscan(line, &tid, &fd, &page); e != nil {
		t.Fatal(line, err, e)
	}
	pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	uffd, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(uffd)
	count, err := mapCounter(counter)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it waits for its page", func() bool {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/wchan", cmd.Process.Pid, tid))
		return strings.Contains(string(b), "userfault")
	})

	m := open(t, cmd.Process.Pid, notify.TaskWork)
	tids := []int{tid}
	r := trace(t, m, tids, 0)
	r.arm(tids)
	if len(r.held) != 0 {
		t.Fatal("it is stopped in its page fault")
	}
	if err := uffdio(uffd, uffdZeroPage, &[4]uint64{page, uint64(pageSize)}); err != nil {
		t.Fatal(err)
	}
	r.stopped(1)
	time.Sleep(10 * time.Millisecond)
	if n := count.Load(); n != 1 {
		t.Errorf("it went on, and counts %d", n)
	}
	r.release(tids)
	eventually(t, "it counts", func() bool { r.collect(); return count.Load() > 1000 })
	r.end()
}

func mapCounter(path string) (*atomic.Uint64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(b))), nil
}

// fault has a thread count, which first waits for a page.
func fault() error {
	count, err := mapCounter(os.Getenv("COUNTER"))
	if err != nil {
		return err
	}
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		fmt.Println("not supported")
		return nil
	}
	page, err := unix.Mmap(-1, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	at := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(page))))
	if err := uffdio(int(fd), uffdioAPI, &[4]uint64{uffdAPI}); err != nil {
		return err
	}
	if err := uffdio(int(fd), uffdRegister, &[4]uint64{at, uint64(pageSize), 1}); err != nil {
		return err
	}
	runtime.LockOSThread()
	fmt.Println(unix.Gettid(), fd, at)
	count.Store(1)
	for {
		count.Add(1 + uint64(page[0]))
	}
}
