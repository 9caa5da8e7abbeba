//go:build linux

package main

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// clogged is a pipe or a terminal that takes nothing more until it is read.
type clogged struct{ r, w *os.File }

func clog(t testing.TB, r, w *os.File) *clogged {
	t.Helper()
	fd := int(w.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	var err error
	for _, junk := range []string{strings.Repeat("#", 4096), "#"} {
		for err = nil; err == nil; {
			_, err = unix.Write(fd, []byte(junk))
		}
		if err != unix.EAGAIN {
			t.Fatal(err)
		}
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	// Who ends first is not the collector's affair: an end that nobody reads any
	// more would be closed by it, and the writer told so.
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return &clogged{r, w}
}

func clogPipe(t testing.TB) *clogged {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return clog(t, r, w)
}

// clear reads it to its end.
func (c *clogged) clear() string {
	return c.clearUntil(func(string) bool { return false }, nil)
}

// clearUntil reads it to its end, and calls then once what it has read is enough.
func (c *clogged) clearUntil(enough func(string) bool, then func()) string {
	var text strings.Builder
	called, buf := false, make([]byte, 1<<16)
	for {
		n, err := c.r.Read(buf)
		text.Write(buf[:n])
		if !called && enough(text.String()) {
			called = true
			then()
		}
		if err != nil { // a terminal ends with EIO
			return strings.TrimLeft(text.String(), "#")
		}
	}
}
