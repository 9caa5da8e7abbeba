//go:build linux

// Programs that get in the way of attaching.

package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"massattach/internal/target"
)

// other starts a process of another program than the target, or, for another
// user, of one in this file; it answers when that has written a line.
func other(t *testing.T, user *syscall.Credential, args ...string) *exec.Cmd {
	t.Helper()
	needTracing(t)
	path, err := exec.LookPath(args[0])
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Args[0] = args[0]
	if user != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
		cmd.Path, cmd.Dir = filepath.Join(publicDir, "massattach"), publicDir
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		ended := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		ended.Stop()
	})
	if _, err := out.Read(make([]byte, 64)); err != nil {
		t.Fatalf("%s: %v", args[0], err)
	}
	return cmd
}

// untilEOF says that the process is ready, and waits for the end of its input.
func untilEOF() {
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// undumpable is a program that nobody else of its user may look into.
func undumpable() {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	untilEOF()
}

// motley is a program of root's with one thread that is another user's, and one
// with a seccomp filter of its own.
func motley() {
	ready := make(chan error)
	thread := func(become func() error) {
		go func() {
			runtime.LockOSThread()
			ready <- become()
			select {}
		}()
		if err := <-ready; err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	thread(func() error { return filter(unix.SYS_PTRACE, seccompErrno|uint32(unix.EPERM)) })
	thread(func() error {
		id := uintptr(nobody.Gid)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, id, id, id); errno != 0 {
			return errno
		}
		id = uintptr(nobody.Uid)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, id, id, id); errno != 0 {
			return errno
		}
		// That has made all of it undumpable.
		return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	})
	untilEOF()
}

// What a filter answers, include/uapi/linux/seccomp.h.
const (
	seccompErrno = 0x00050000
	seccompKill  = 0x80000000
	seccompAllow = 0x7fff0000
)

// filter has the calling thread, and what it starts, answered so when it makes
// the system call nr.
func filter(nr, answer uint32) error {
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: answer},
		{Code: unix.BPF_RET | unix.BPF_K, K: seccompAllow},
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}

// sealed starts a program under a seccomp filter: sealed CALL ANSWER PROGRAM ARGS.
func sealed() {
	runtime.LockOSThread()
	nr := map[string]uint32{"ptrace": unix.SYS_PTRACE, "process_vm_readv": unix.SYS_PROCESS_VM_READV, "swapon": unix.SYS_SWAPON}[os.Args[1]]
	answer := map[string]uint32{
		"EPERM": seccompErrno | uint32(unix.EPERM), "ENOSYS": seccompErrno | uint32(unix.ENOSYS), "kill": seccompKill,
	}[os.Args[2]]
	err := filter(nr, answer)
	if err == nil {
		err = syscall.Exec(os.Args[3], os.Args[3:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// uring is a program with a thread that io_uring has made: a worker of the
// kernel's that is one of the process's (Linux 5.12).
func uring() {
	if err := submitRead(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(time.Millisecond) {
		names, _ := filepath.Glob("/proc/self/task/*/comm")
		for _, name := range names {
			if comm, _ := os.ReadFile(name); strings.HasPrefix(string(comm), "iou-wrk") {
				untilEOF()
				return
			}
		}
	}
	os.Exit(1)
}

// submitRead has a worker read from a pipe that nobody writes to.
func submitRead() error {
	const (
		queue, entries = 0, 0x10000000 // offsets for mmap
		tail, array    = 44, 64        // of their offsets in the parameters
		opRead, async  = 22, 1 << 4
	)
	var params [120]byte
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
	if errno != 0 {
		return os.NewSyscallError("io_uring_setup", errno)
	}
	sq, err := unix.Mmap(int(fd), queue, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	sqe, err := unix.Mmap(int(fd), entries, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		return err
	}
	to, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	native := binary.NativeEndian
	sqe[0], sqe[1] = opRead, async
	native.PutUint32(sqe[4:], uint32(pipe[0]))
	native.PutUint64(sqe[16:], uint64(uintptr(unsafe.Pointer(unsafe.SliceData(to)))))
	native.PutUint32(sqe[24:], 1)
	native.PutUint32(sq[native.Uint32(params[array:]):], 0)
	native.PutUint32(sq[native.Uint32(params[tail:]):], 1)
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, fd, 1, 0, 0, 0, 0); errno != 0 {
		return os.NewSyscallError("io_uring_enter", errno)
	}
	return nil
}

// underGDB has gdb hold the target until the test ends.
func underGDB(t *testing.T, tg *target.Target) *exec.Cmd {
	t.Helper()
	cmd := other(t, nil, "gdb", "-nx", "-q", "-ex", "set debuginfod enabled off", "-ex", "set confirm off", "-p", pid(tg))
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGCONT) })
	eventually(t, "gdb holds all threads", func() bool {
		all := captives(t, tg)
		for _, c := range all {
			if !strings.Contains(c, "state t") {
				return false
			}
		}
		return len(all) >= 20
	})
	return cmd
}
