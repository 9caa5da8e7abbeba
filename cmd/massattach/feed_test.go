//go:build linux

package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"massattach/attacher"
)

// A name is read of what has just happened, and believed for as long as no other thread
// can have its number.
func TestNames(t *testing.T) {
	pid := os.Getpid()
	b, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	comm := strings.TrimSuffix(string(b), "\n")
	// Events of a time that can't be over, and of one that is.
	now := &attacher.Event{TID: pid, Time: time.Now().Add(time.Hour)}
	past := &attacher.Event{TID: pid, Time: time.Now().Add(-time.Hour)}
	var n names
	n.open(pid)
	defer n.close()
	if name := n.of(past); name != "" {
		t.Errorf("%q, who has fallen behind", name)
	}
	if name := n.of(now); name != comm {
		t.Errorf("%q, want %q", name, comm)
	}
	if name := n.of(past); name != comm {
		t.Errorf("%q, want %q, which is known", name, comm)
	}
	n.since = time.Now().Add(time.Hour)
	if n.forget(); len(n.known) != 1 {
		t.Error("a fresh name is forgotten")
	}
	n.since = time.Now().Add(-2 * fresh)
	if n.forget(); len(n.known) != 0 {
		t.Errorf("not forgotten: %v", n.known)
	}
	if name := n.of(&attacher.Event{TID: 999_999_999, Time: now.Time}); name != "" {
		t.Errorf("%q, who isn't there", name)
	}
	n.close()
	n.open(999_999_999)
	if name := n.of(now); name != "" {
		t.Errorf("%q, of a process that isn't there", name)
	}
}
