//go:build linux && (amd64 || arm64)

package target_test

import (
	"testing"
	"time"

	"massattach/internal/target"
)

func TestFlood(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Recv: 64, Epoll: 10})
	for _, f := range []target.Flood{
		{Count: 100},
		{Count: 200, Slots: 3, Window: 1},
		{For: 300 * time.Millisecond},
		{For: 200 * time.Millisecond, Restart: true, Signal: 42},
	} {
		before := account(t, p)
		r, err := p.Flood(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		n := int64(64)
		if f.Slots > 0 {
			n = int64(f.Slots)
		}
		if r.Sent != r.Received || r.Lost != 0 || r.Error != "" || f.Count > 0 && r.Sent != n*int64(f.Count) || r.Sent == 0 {
			t.Errorf("%+v: %+v", f, r)
		}
		a := account(t, p)
		w := a.Since(before)
		if w.Received != r.Received || w.Sent != r.Sent || a.SignalErrors() != 0 || w.EINTR != 0 || w.Early != 0 || a.Threads != p.Threads() {
			t.Errorf("%+v: %+v, account %+v", f, r, a)
		}
		t.Logf("%.0f a second, %d EAGAIN", r.Rate(), r.EAGAIN)
	}
	if _, err := p.Flood(ctx, target.Flood{}); err == nil {
		t.Error("a flood without an end")
	}
	if _, err := p.Flood(ctx, target.Flood{Count: 1, Slots: 65}); err == nil {
		t.Error("a flood to more than there are")
	}
	if _, err := start(t, target.Spec{}).Flood(ctx, target.Flood{Count: 1}); err == nil {
		t.Error("a flood to nobody")
	}
}

// The control of "no errors": the oracle sees a hole, a repetition, a payload
// of nobody, the wrong thread and the wrong sender.
func TestFloodErrorsShow(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Recv: 2})
	list, err := p.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tids := list[target.KindRecv]
	send := func(tid int, value uint64) {
		before := account(t, p).Runs[target.HotSignal]
		if err := p.Send(ctx, target.Send{Signal: target.HotSignal, TID: tid, Value: &value}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the handler", func() bool { return account(t, p).Runs[target.HotSignal] == before+1 })
	}
	check := func(what string, want target.Slot) {
		t.Helper()
		want.TID = tids[0]
		if got := account(t, p).Slots[0]; got != want {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	send(tids[0], 1)
	send(tids[0], 2)
	check("in order", target.Slot{Received: 2})
	send(tids[0], 4)
	check("one lost", target.Slot{Received: 3, OrderErrors: 1})
	send(tids[0], 4)
	check("one doubled", target.Slot{Received: 4, OrderErrors: 2})
	send(tids[1], 5)
	check("to the wrong thread", target.Slot{Received: 5, OrderErrors: 2, PayloadErrors: 1})
	send(tids[0], 7<<32|1)
	if n := account(t, p).Strays; n != 1 {
		t.Errorf("%d strays", n)
	}
	if err := p.ExpectSender(ctx, 1); err != nil {
		t.Fatal(err)
	}
	send(tids[0], 6)
	check("from somebody else", target.Slot{Received: 6, OrderErrors: 2, PayloadErrors: 2})
}

func TestHot(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Hot: 1, Epoll: 1})
	before := account(t, p)
	var w target.Window
	eventually(t, "1,000 signals", func() bool { w = account(t, p).Since(before); return w.Hot >= 1000 })
	if w.Runs[target.HotSignal] < w.Hot/2 || w.EINTR != 0 {
		t.Errorf("%+v", w)
	}
	t.Logf("%.0f signals a second", w.Rate(w.Hot))
	list, err := p.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.End(ctx, list[target.KindHot][0]); err != nil {
		t.Fatal(err)
	}
}
