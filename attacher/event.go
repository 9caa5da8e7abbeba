package attacher

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"massattach/threadset"
)

// EventMask is a set of kinds of events; an [Event] has one of them.
type EventMask uint32

const (
	// EventBirth: a thread that was born after the attach has been seized.
	EventBirth EventMask = 1 << iota
	// EventExit: a thread has ended, by itself (Code) or killed (Signal).
	EventExit
	// EventExec: the process runs a new program; of its threads only TID is
	// left, which was OldTID until then.
	EventExec
	// EventSignal: Signal was passed on to TID.
	EventSignal
	// EventGroupStop: the process is being stopped by Signal; TID is the
	// first thread that reported it.
	EventGroupStop
	// EventContinue: the process goes on; TID is the first thread that
	// reported it.
	EventContinue

	// EventLost: N events had no place in the subscriber's buffer.
	EventLost
	// EventEnd: the session has ended; there is no event after it.
	EventEnd

	// EventAll is every kind.
	EventAll = EventEnd<<1 - 1
)

// eventNames are what the kinds are called, in the order of their bits.
var eventNames = [...]string{"birth", "exit", "exec", "signal", "group-stop", "continue", "lost", "end"}

// String is the name of a kind, or of several: "birth|exit".
func (m EventMask) String() string {
	if m&(m-1) == 0 && m&EventAll != 0 {
		return eventNames[bits.TrailingZeros32(uint32(m))]
	}
	var names []string
	for i, name := range eventNames {
		if m&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if rest := m &^ EventAll; rest != 0 || m == 0 {
		names = append(names, fmt.Sprintf("%#x", uint32(rest)))
	}
	return strings.Join(names, "|")
}

// Event is something that happened to the target.
type Event struct {
	Kind   EventMask
	Time   time.Time
	TID    int
	OldTID int            // EventExec
	Signal syscall.Signal // EventSignal, EventGroupStop, EventExit when killed
	Code   int            // EventExit: the exit code
	N      int            // EventLost
}

// Filter picks some of the events.
type Filter struct {
	Kinds EventMask
	// TIDs are the threads whose births, exits and signals are picked, all
	// when there are none. What happens to the whole process (an exec, a
	// group-stop, its end) happens to each of them, and is picked in any case.
	TIDs []int
}

// single are the kinds of what happens to one thread.
const single = EventBirth | EventExit | EventSignal

func (f *Filter) picks(e *Event) bool {
	return f.Kinds&e.Kind != 0 &&
		(len(f.TIDs) == 0 || e.Kind&single == 0 || slices.Contains(f.TIDs, e.TID))
}

// Snapshot is the threads of the target at one moment.
type Snapshot []threadset.Thread

// subscriber is a buffer that tracers fill and one reader empties.
type subscriber struct {
	filter Filter
	mu     sync.Mutex
	queue  []Event // at most limit, then lost counts
	limit  int
	lost   int
	since  time.Time // when the first of lost came
	ended  bool
	more   chan struct{} // has room for one: something came
}

// Subscribe answers the threads that there are, and every later event whose
// kind is in m, in each thread's order. Nothing is lost in between; something
// that happens at this very moment may be both in the snapshot and an event.
//
// Tracers never wait for a reader: of what comes while buf events are queued
// only the number is kept, as an EventLost. The sequence ends after EventEnd,
// which the session's end brings in any case; a break ends the subscription.
// The sequence is for one use.
func (s *Session) Subscribe(m EventMask, buf int) (Snapshot, iter.Seq[Event]) {
	snapshot, batches := s.SubscribeBatches(Filter{Kinds: m}, buf)
	return snapshot, func(yield func(Event) bool) {
		for batch := range batches {
			for _, e := range batch {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// SubscribeBatches is Subscribe for who has much to read, or wants little: each
// element of the sequence is all that was queued, never empty, and the reader's
// until the next. What f does not pick takes no place in the buffer, and can't
// be lost.
func (s *Session) SubscribeBatches(f Filter, buf int) (Snapshot, iter.Seq[[]Event]) {
	f.TIDs = slices.Clone(f.TIDs)
	sub := &subscriber{filter: f, limit: max(buf, 1), more: make(chan struct{}, 1)}
	// A tracer moves the phase first and asks for subscribers then. So what
	// it does not tell us, because we come later, the snapshot has.
	s.events.add(sub)
	snapshot := Snapshot(s.set.Snapshot(nil))
	return snapshot, func(yield func([]Event) bool) {
		defer s.events.remove(sub)
		var batch []Event
		for range sub.more {
			var ended bool
			if batch, ended = sub.take(batch); ended {
				batch = append(batch, Event{Kind: EventEnd, Time: s.now()})
			}
			if len(batch) > 0 && !yield(batch) || ended {
				return
			}
		}
	}
}

// take empties the queue, whose next place is that of read, a batch that has
// been read.
func (sub *subscriber) take(read []Event) (batch []Event, ended bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	batch, ended = sub.queue, sub.ended
	if sub.lost > 0 {
		batch = append(batch, Event{Kind: EventLost, Time: sub.since, N: sub.lost})
	}
	sub.queue, sub.lost = read[:0], 0
	return batch, ended
}

func (sub *subscriber) put(e Event) {
	sub.mu.Lock()
	if len(sub.queue) < sub.limit {
		sub.queue = append(sub.queue, e)
	} else {
		if sub.lost == 0 {
			sub.since = e.Time
		}
		sub.lost++
	}
	sub.mu.Unlock()
	sub.ring()
}

func (sub *subscriber) end() {
	sub.mu.Lock()
	sub.ended = true
	sub.mu.Unlock()
	sub.ring()
}

func (sub *subscriber) ring() {
	select {
	case sub.more <- struct{}{}:
	default:
	}
}

// eventHub is the subscribers of a session.
type eventHub struct {
	mu    sync.RWMutex
	subs  map[*subscriber]struct{}
	ended bool
}

func (h *eventHub) add(sub *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		sub.end()
		return
	}
	if h.subs == nil {
		h.subs = make(map[*subscriber]struct{})
	}
	h.subs[sub] = struct{}{}
}

func (h *eventHub) remove(sub *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, sub)
}

func (h *eventHub) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	for sub := range h.subs {
		sub.end()
	}
}

// publish tells the subscribers of e, whose phase has been moved already.
func (s *Session) publish(e Event) {
	s.events.mu.RLock()
	defer s.events.mu.RUnlock()
	s.events.tell(e, s.now)
}

// tell is called with the lock held for reading.
func (h *eventHub) tell(e Event, now func() time.Time) {
	if len(h.subs) == 0 {
		return
	}
	e.Time = now()
	for sub := range h.subs {
		if sub.filter.picks(&e) {
			sub.put(e)
		}
	}
}
