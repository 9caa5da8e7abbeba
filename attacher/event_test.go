package attacher

import (
	"slices"
	"testing"
	"time"
)

func TestEventMaskString(t *testing.T) {
	for m, want := range map[EventMask]string{
		EventBirth: "birth", EventGroupStop: "group-stop", EventEnd: "end", 0: "0x0",
		EventBirth | EventExit: "birth|exit", EventSignal | 1<<20: "signal|0x100000", 1 << 31: "0x80000000",
		EventAll: "birth|exit|exec|signal|group-stop|continue|lost|end",
	} {
		if got := m.String(); got != want {
			t.Errorf("%#x: %s, want %s", uint32(m), got, want)
		}
	}
}

func TestFilter(t *testing.T) {
	for _, tc := range []struct {
		filter Filter
		event  Event
		want   bool
	}{
		{Filter{}, Event{Kind: EventBirth, TID: 1}, false},
		{Filter{Kinds: EventAll}, Event{Kind: EventBirth, TID: 1}, true},
		{Filter{Kinds: EventExit}, Event{Kind: EventBirth, TID: 1}, false},
		{Filter{EventAll, []int{2, 3}}, Event{Kind: EventSignal, TID: 1}, false},
		{Filter{EventAll, []int{2, 3}}, Event{Kind: EventSignal, TID: 3}, true},
		{Filter{EventAll, []int{2, 3}}, Event{Kind: EventExit, TID: 1}, false},
		{Filter{EventAll, []int{2, 3}}, Event{Kind: EventExec, TID: 1, OldTID: 4}, true},
		{Filter{EventAll, []int{2, 3}}, Event{Kind: EventGroupStop, TID: 1}, true},
		{Filter{EventSignal, []int{2, 3}}, Event{Kind: EventContinue, TID: 2}, false},
	} {
		if got := tc.filter.picks(&tc.event); got != tc.want {
			t.Errorf("%v of %+v: %v", tc.filter, tc.event, got)
		}
	}
}

// What is lost is told where it is missing, and nobody is who was not asked for.
func TestBatches(t *testing.T) {
	s := new(Session)
	_, batches := s.SubscribeBatches(Filter{EventSignal | EventExec, []int{7}}, 2)
	publish := func(codes ...int) {
		for _, c := range codes {
			s.publish(Event{Kind: EventSignal, TID: 7, Code: c})
			s.publish(Event{Kind: EventSignal, TID: 8, Code: -c})
			s.publish(Event{Kind: EventExit, TID: 7, Code: -c})
		}
	}
	first := time.Now()
	publish(1, 2, 3, 4)
	var got [][]Event
	for b := range batches {
		got = append(got, slices.Clone(b))
		switch len(got) {
		case 1:
			publish(5)
		case 2:
			publish(6, 7, 8)
			s.events.end()
		}
	}
	type brief struct {
		kind    EventMask
		code, n int
	}
	want := [][]brief{
		{{EventSignal, 1, 0}, {EventSignal, 2, 0}, {EventLost, 0, 2}},
		{{EventSignal, 5, 0}},
		{{EventSignal, 6, 0}, {EventSignal, 7, 0}, {EventLost, 0, 1}, {EventEnd, 0, 0}},
	}
	if !slices.EqualFunc(got, want, func(g []Event, w []brief) bool {
		return slices.EqualFunc(g, w, func(e Event, b brief) bool { return b == brief{e.Kind, e.Code, e.N} })
	}) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for last, b := first, slices.Concat(got...); len(b) > 0; b = b[1:] {
		if b[0].Time.Before(last) {
			t.Errorf("%+v is told too late", b[0])
		}
		last = b[0].Time
	}
	if len(s.events.subs) != 0 {
		t.Error("the subscription has not ended")
	}
}

// Who keeps up makes no work for the garbage collector.
func TestBatchesAllocate(t *testing.T) {
	s := new(Session)
	sub := &subscriber{filter: Filter{Kinds: EventAll}, limit: 16, more: make(chan struct{}, 1)}
	s.events.add(sub)
	var batch []Event
	if n := testing.AllocsPerRun(100, func() {
		for range 16 {
			s.publish(Event{Kind: EventSignal, TID: 1})
		}
		batch, _ = sub.take(batch)
	}); n != 0 || len(batch) != 16 {
		t.Errorf("%v allocations for %d events", n, len(batch))
	}
}
