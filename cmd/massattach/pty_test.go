//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// openPTY makes a terminal of 80 columns: what is written to the master is
// typed, what is read from it is shown.
func openPTY() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		return nil, nil, err
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	return master, slave, err
}

// onTerminal starts the command as a job of a shell that has a terminal of its
// own, and answers its pid, and the keyboard. The terminal refuses output to who
// is in the background. What it shows is the stderr of the shell.
func onTerminal(t *testing.T, ground, program string, args ...string) (shell *process, pid int, keyboard io.Writer) {
	t.Helper()
	master, slave, err := openPTY()
	if err != nil {
		t.Fatal(err)
	}
	shell = prepare(t, "job", append([]string{ground, program}, args...)...)
	shell.Stdin, shell.Stdout, shell.Stderr = slave, slave, slave
	// Its own session, and this its terminal.
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	go func() {
		defer master.Close()
		_, _ = io.Copy(&shell.stderr, master) // ends with EIO
	}()
	shell.start()
	slave.Close()
	_, pid = child(t, shell.Process.Pid, program)
	// When the shell is killed its job is, too: it would have to be found first.
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	return shell, pid, master
}

// job is such a shell: a session leader that runs one program in a process group
// of its own, in the foreground (fg) or in the background (bg).
func job() {
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{os.NewFile(3, "phases")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Foreground: os.Args[1] == "fg"}
	mode, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err == nil {
		mode.Lflag |= unix.TOSTOP
		err = unix.IoctlSetTermios(0, unix.TCSETS, mode)
	}
	if err == nil {
		err = cmd.Run()
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
