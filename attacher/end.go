package attacher

import (
	"time"

	"massattach/threadset"
)

// The end of a tracee, as its tracer sees it.

// ended buries a tracee. Until its tracer reaps it an exited thread keeps its
// id, and its process can neither exec nor be waited for.
func (t *tracer) ended(s Stop) {
	if t.s.ownChild && s.TID == t.s.pid {
		// The leader of a child of this process: its status belongs to the
		// parent, which would get ECHILD. It is the last of its process
		// (kernel/exit.c, delay_group_leader), so this tracer is done; by its
		// end it hands the report on.
		t.burial(func() { t.bury(s) })
		// But for a stranger that was asked to stop, to be let go: see reject.
		for begin := t.s.now(); t.asking() && t.s.now().Sub(begin) < t.lingers(); t.s.kernel.Nap(time.Millisecond) {
			t.lookAtAll()
		}
		t.quit, t.idle = true, true
		t.forgetAll()
		return
	}
	t.burial(func() {
		// An error says that somebody else has taken the report: it has ended all
		// the same.
		_, _ = t.k.Reap(s.TID)
		t.bury(s)
	})
}

// burial has f reap and bury: as long as it lasts the kernel may have fewer threads
// than the records, and the session does not end.
func (t *tracer) burial(f func()) {
	t.s.burying.Add(1)
	f()
	t.s.burying.Add(-1)
	if t.shard.Live() == 0 {
		t.s.summon()
	}
}

// bury ends the record of a tracee whose exit has been reaped, and tells of it. The
// record goes first: a witness may go by the counts.
func (t *tracer) bury(s Stop) {
	if _, ok := t.shard.Get(s.TID); ok { // or its number is another's already, who was claimed
		t.end(s)
	}
	t.lost(s.TID)
}

// end moves a tracee's phase to its end and tells the subscribers, at once for who
// subscribes meanwhile.
func (t *tracer) end(s Stop) {
	hub := &t.s.events
	hub.mu.RLock()
	defer hub.mu.RUnlock()
	t.move(s.TID, threadset.Ended)
	t.s.stats.exits.Add(1)
	hub.tell(Event{Kind: EventExit, TID: s.TID, Code: s.Code, Signal: s.Signal}, t.s.now)
}

// lost drops all that is remembered of tracees that are so no more, and tells of
// them.
func (t *tracer) lost(tids ...int) {
	w := t.witness()
	for _, tid := range tids {
		t.lose(tid)
		if w != nil {
			w.Lost(t.self(), tid)
		}
	}
}

// lose drops all that is remembered of a tracee that is one no more.
func (t *tracer) lose(tid int) {
	delete(t.notes, tid)
	delete(t.stops, tid)
}

// forgetAll ends the records of a tracer that owns nobody.
func (t *tracer) forgetAll() {
	var gone []int
	t.burial(func() {
		gone = t.endAll()
		t.lost(gone...)
	})
	clear(t.notes)
	clear(t.stops)
	if len(gone) > 0 {
		// The leader may be another, whose birth was no news.
		t.s.ledger.unconverge()
	}
	t.s.summon()
}
