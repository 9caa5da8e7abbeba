//go:build linux

package programs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A terminal is the keyboard and screen of a program.
type terminal struct {
	master *os.File
	slave  *os.File // the program's; closed here once it has it
	log    io.Writer
	lines  chan string // that were shown; closed with the last one who has the slave

	typing sync.Mutex // held by who does
	asked  int        // guarded by typing
}

// openTerminal makes a terminal that does not show what is typed. What it shows
// is logged.
func openTerminal(log io.Writer) (*terminal, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	t := &terminal{master: master, log: log, lines: make(chan string, 1000)}
	if err := t.openSlave(); err != nil {
		master.Close()
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	return t, nil
}

func (t *terminal) openSlave() error {
	fd := int(t.master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return err
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return err
	}
	if t.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return err
	}
	mode, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	mode.Lflag &^= unix.ECHO
	return unix.IoctlSetTermios(fd, unix.TCSETS, mode)
}

// begin reads what the program shows, when it has the terminal.
func (t *terminal) begin() {
	t.slave.Close()
	go func() {
		defer close(t.lines)
		// Until EIO, when nobody has the slave any more.
		for s := bufio.NewScanner(io.TeeReader(t.master, t.log)); s.Scan(); {
			t.lines <- strings.TrimSuffix(s.Text(), "\r")
		}
	}()
}

// foreground is the process group that the keyboard's signals go to.
func (t *terminal) foreground() (int, error) {
	return unix.IoctlGetInt(int(t.master.Fd()), unix.TIOCGPGRP)
}

// close closes it when the program has ended.
func (t *terminal) close() {
	t.slave.Close()
	t.master.Close()
}
