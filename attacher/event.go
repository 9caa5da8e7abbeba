package attacher

import (
	"iter"
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

// Snapshot is the threads of the target at one moment.
type Snapshot []threadset.Thread

// subscriber is a buffer that tracers fill and one reader empties.
type subscriber struct {
	mask  EventMask
	mu    sync.Mutex
	queue []Event // at most cap(queue), then lost counts
	limit int
	lost  int
	ended bool
	more  chan struct{} // has room for one: something came
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
	sub := &subscriber{mask: m, limit: max(buf, 1), more: make(chan struct{}, 1)}
	// A tracer moves the phase first and asks for subscribers then. So what
	// it does not tell us, because we come later, the snapshot has.
	s.events.add(sub)
	snapshot := Snapshot(s.set.Snapshot(nil))
	return snapshot, func(yield func(Event) bool) {
		defer s.events.remove(sub)
		for range sub.more {
			batch, ended := sub.take()
			for _, e := range batch {
				if !yield(e) {
					return
				}
			}
			if ended {
				yield(Event{Kind: EventEnd, Time: s.now()})
				return
			}
		}
	}
}

// take empties the queue.
func (sub *subscriber) take() (batch []Event, ended bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	batch, ended = sub.queue, sub.ended
	if sub.lost > 0 {
		batch = append(batch, Event{Kind: EventLost, Time: time.Now(), N: sub.lost})
	}
	sub.queue, sub.lost = nil, 0
	return batch, ended
}

func (sub *subscriber) put(e Event) {
	sub.mu.Lock()
	if len(sub.queue) < sub.limit {
		sub.queue = append(sub.queue, e)
	} else {
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
	if len(s.events.subs) == 0 {
		return
	}
	e.Time = s.now()
	for sub := range s.events.subs {
		if sub.mask&e.Kind != 0 {
			sub.put(e)
		}
	}
}
