package main

import (
	"iter"
	"time"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/procfs"
)

// queue is how many events of a process wait for a reader, before they are
// lost: at 20,000 a second it is most of a second, and a megabyte.
const queue = 16384

// breath is how long a feed rests after each batch. What comes after a quiet
// moment is printed at once; amid many others it waits for them this long, and
// their tracers don't have to wake anybody.
const breath = time.Millisecond

// longestLine is more than an event takes, whatever its thread is called.
const longestLine = 512

// feed prints the events of one session, as many at once as there are.
type feed struct {
	visit   *visit
	out     *stream
	session *attacher.Session
	style   report.Style
	names   names

	event   report.Event
	lines   []byte // that are still to be written, and the events in them
	pending int

	told, lost int
}

// run prints until the session ends.
func (f *feed) run(batches iter.Seq[[]attacher.Event]) {
	f.style = style(f.visit.stdout)
	f.names.open(f.session.PID())
	defer f.names.close()
	for batch := range batches {
		f.names.forget()
		for i := range batch {
			f.add(&batch[i])
		}
		f.flush()
		time.Sleep(breath)
	}
}

func (f *feed) add(e *attacher.Event) {
	if len(f.lines)+longestLine > f.out.piece {
		f.flush()
	}
	f.event = report.Event{Event: *e, PID: f.session.PID()}
	switch e.Kind {
	case attacher.EventLost:
		f.lost += e.N
	case attacher.EventEnd:
		f.flush() // which says what was told
		f.event.Ended = isClosed(f.session.Ended())
		f.event.Events, f.event.Lost = f.told, f.lost
	case attacher.EventExit:
		f.pending++
	default:
		f.pending++
		f.event.Comm = f.names.of(e)
	}
	if f.visit.printer.json() {
		f.lines = f.event.AppendJSON(f.lines)
	} else {
		f.lines = f.event.AppendText(f.lines, f.style, f.visit.several)
	}
}

func (f *feed) flush() {
	if len(f.lines) == 0 {
		return
	}
	if _, err := f.out.Write(f.lines); err != nil {
		f.lost += f.pending
		f.lines = nil // it is the stream's now
	} else {
		f.told += f.pending
		f.lines = f.lines[:0]
	}
	f.pending = 0
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// names are what threads are called, read when they are needed. A number may come
// again, for another thread, but not within fresh: the kernel gives out all others
// first. So a name is believed of what has happened within fresh of its reading;
// and who has fallen behind does without, which saves him the time.
type names struct {
	process *procfs.Process // nil: it is gone
	known   map[int]string
	since   time.Time // when there was none
}

const fresh = 100 * time.Millisecond

func (n *names) open(pid int) {
	n.known = make(map[int]string)
	n.process, _ = procfs.FS{}.Open(pid)
}

func (n *names) close() {
	if n.process != nil {
		_ = n.process.Close()
	}
}

// forget forgets them in time; what is named next has happened before.
func (n *names) forget() {
	if now := time.Now(); now.Sub(n.since) > fresh {
		clear(n.known)
		n.since = now
	}
}

// of is the name of an event's thread, "" if it isn't known.
func (n *names) of(e *attacher.Event) string {
	name, ok := n.known[e.TID]
	if !ok && n.process != nil && time.Since(e.Time) < fresh {
		name, _ = n.process.Comm(e.TID) // it may have ended
		n.known[e.TID] = name
	}
	return name
}
