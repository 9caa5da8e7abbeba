package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
)

// gate is a writer that stands still until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	buf  bytes.Buffer
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.buf.Write(b)
}

// A full pipe holds up nobody who has something to say, and nothing is lost.
func TestNotesNeverBlock(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	n := newNotes(g)
	for range 1000 {
		n.say("line")
		n.setBar("bar")
	}
	close(g.open)
	n.setBar("")
	n.close()
	if got := strings.Count(g.buf.String(), "massattach: line\n"); got != 1000 {
		t.Errorf("%d lines of 1000", got)
	}
	if left := g.buf.String(); !strings.HasSuffix(left, "line\n") && !strings.HasSuffix(left, "\r\x1b[K") {
		t.Errorf("a bar stays behind: %q", left[max(0, len(left)-40):])
	}
}

// A line that comes while a bar is shown takes the bar's place, and the bar
// follows it.
func TestNotesBar(t *testing.T) {
	var b bytes.Buffer
	n := newNotes(&b)
	n.setBar("[=>")
	n.flush()
	n.say("attached\nto %s", "x\x1b[2J")
	n.flush()
	n.setBar("")
	n.close()
	const want = "[=>" + "\r\x1b[Kmassattach: attached\\nto x\\x1b[2J\n[=>" + "\r\x1b[K"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestProblem(t *testing.T) {
	var b bytes.Buffer
	n := newNotes(&b)
	n.problem("attach x[1]: no such process", "")
	n.problem("not permitted", "sudo")
	n.close()
	const want = "massattach: attach x[1]: no such process\nmassattach: not permitted\nhint: sudo\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
