package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"massattach/attacher"
	. "massattach/internal/report"
)

// eventLine is the contract of an event in JSON.
type eventLine struct {
	TimeNS int64   `json:"time_ns"`
	PID    int     `json:"pid"`
	TID    *int    `json:"tid,omitempty"`
	Event  string  `json:"event"`
	Comm   string  `json:"comm,omitempty"`
	OldTID *int    `json:"old_tid,omitempty"`
	Signal *string `json:"signal,omitempty"`
	Code   *int    `json:"code,omitempty"`
	N      *int    `json:"n,omitempty"`
	Ended  *bool   `json:"ended,omitempty"`
	Events *int    `json:"events,omitempty"`
	Lost   *int    `json:"lost,omitempty"`
}

// contract is e as encoding/json has it.
func contract(e Event) eventLine {
	l := eventLine{TimeNS: e.Time.UnixNano(), PID: e.PID, Event: e.Kind.String(), Comm: e.Comm}
	if e.TID != 0 {
		l.TID = &e.TID
	}
	name := SignalName(e.Signal)
	switch e.Kind {
	case attacher.EventExec:
		l.OldTID = &e.OldTID
	case attacher.EventSignal, attacher.EventGroupStop:
		l.Signal = &name
	case attacher.EventExit:
		if e.Signal == 0 {
			l.Code = &e.Code
		} else {
			l.Signal = &name
		}
	case attacher.EventLost:
		l.N = &e.N
	case attacher.EventEnd:
		l.Ended, l.Events, l.Lost = &e.Ended, &e.Events, &e.Lost
	}
	return l
}

// told is an event of each kind.
func told() []Event {
	at := time.Date(2026, 2, 3, 4, 5, 6, 7_800, time.Local)
	event := func(comm string, e attacher.Event) Event {
		at = at.Add(1234 * time.Microsecond)
		e.Time = at
		return Event{Event: e, PID: 4211, Comm: comm}
	}
	end := event("", attacher.Event{Kind: attacher.EventEnd})
	end.Events, end.Lost = 9, 12_345
	ended := end
	ended.Ended, ended.Lost = true, 0
	return []Event{
		event("worker", attacher.Event{Kind: attacher.EventBirth, TID: 4230}),
		event("", attacher.Event{Kind: attacher.EventBirth, TID: 4_194_304}),
		event("worker", attacher.Event{Kind: attacher.EventSignal, TID: 4230, Signal: syscall.SIGUSR1}),
		event("a \x1b[31m\nü\xff\u202e", attacher.Event{Kind: attacher.EventSignal, TID: 4230, Signal: 39}),
		event("server", attacher.Event{Kind: attacher.EventGroupStop, TID: 4211, Signal: syscall.SIGSTOP}),
		event("server", attacher.Event{Kind: attacher.EventContinue, TID: 4211}),
		event("", attacher.Event{Kind: attacher.EventLost, N: 12_345}),
		event("", attacher.Event{Kind: attacher.EventExit, TID: 4231}),
		event("", attacher.Event{Kind: attacher.EventExit, TID: 4231, Code: 255}),
		event("", attacher.Event{Kind: attacher.EventExit, TID: 4231, Signal: 64}),
		event("sh", attacher.Event{Kind: attacher.EventExec, TID: 4211, OldTID: 4230}),
		event("sh", attacher.Event{Kind: attacher.EventExec, TID: 4211, OldTID: 4211}),
		end, ended,
	}
}

func TestEventJSON(t *testing.T) {
	for _, e := range told() {
		if got, want := string(e.AppendJSON(nil)), string(line(t, contract(e))); got != want {
			t.Errorf("%v:\n got %swant %s", e.Kind, got, want)
		}
	}
}

func TestEventText(t *testing.T) {
	for _, tc := range []struct {
		name    string
		style   Style
		several bool
	}{
		{"events.txt", Style{}, false},
		{"events-several.txt", Style{}, true},
		{"events-colour.txt", Style{Colour: true}, false},
	} {
		var b []byte
		for _, e := range told() {
			b = e.AppendText(b, tc.style, tc.several)
		}
		golden(t, tc.name, b)
	}
}

func TestSignalName(t *testing.T) {
	for s, want := range map[syscall.Signal]string{
		syscall.SIGKILL: "SIGKILL", syscall.SIGUSR1: "SIGUSR1", 31: "SIGSYS", 32: "SIG32", 33: "SIG33",
		34: "SIGRTMIN", 39: "SIGRTMIN+5", 64: "SIGRTMIN+30", 0: "SIG0", 65: "SIG65", -1: "SIG-1",
	} {
		if got := SignalName(s); got != want {
			t.Errorf("%d: %s, want %s", int(s), got, want)
		}
	}
}

// Thousands of events a second are no work for the garbage collector.
func TestEventAllocations(t *testing.T) {
	e := told()[2]
	buf := make([]byte, 0, 512)
	for name, f := range map[string]func(){
		"JSON":   func() { buf = e.AppendJSON(buf[:0]) },
		"text":   func() { buf = e.AppendText(buf[:0], Style{}, true) },
		"colour": func() { buf = e.AppendText(buf[:0], Style{Colour: true}, false) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations an event", name, n)
		}
	}
}

// Whatever a thread is called and whatever happens to it, it is one line that
// says so, and nothing that does not print.
func FuzzEvent(f *testing.F) {
	for _, e := range told() {
		f.Add(uint32(e.Kind), e.Time.UnixNano(), e.PID, e.TID, e.OldTID, int(e.Signal), e.Code, e.N, e.Comm)
	}
	f.Add(uint32(attacher.EventSignal), int64(math.MinInt64), -1, math.MinInt, math.MaxInt, math.MaxInt, -1, -1, "\"\\<&>\u2028\x7f\x00")
	f.Fuzz(func(t *testing.T, kind uint32, ns int64, pid, tid, old, sig, code, n int, comm string) {
		e := Event{
			Event: attacher.Event{
				Kind: attacher.EventMask(kind), Time: time.Unix(0, ns), TID: tid, OldTID: old,
				Signal: syscall.Signal(sig), Code: code, N: n,
			},
			PID: pid, Comm: comm, Ended: n%2 == 0, Events: code, Lost: n,
		}
		before := []byte("before\n")
		got, ok := bytes.CutPrefix(e.AppendJSON(before), before)
		if want := line(t, contract(e)); !ok || !bytes.Equal(got, want) {
			t.Errorf("%+v:\n got %swant %s", e, got, want)
		}
		var back eventLine
		if err := json.Unmarshal(got, &back); err != nil || back.PID != pid || back.TimeNS != ns {
			t.Errorf("%+v: %s: %v", e, got, err)
		}
		for _, style := range []Style{{}, {Colour: true}} {
			text, ok := strings.CutPrefix(string(e.AppendText(before, style, n%2 == 0)), "before\n")
			words, whole := strings.CutSuffix(undress(text), "\n")
			if !ok || !whole || !utf8.ValidString(words) || strings.IndexFunc(words, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
				t.Errorf("%+v: not one line: %q", e, text)
			}
			if tid != 0 && !strings.Contains(words, fmt.Sprint(tid)) || !strings.Contains(words, e.Kind.String()) {
				t.Errorf("%+v: %q", e, text)
			}
			if q := strings.TrimRight(Quote(comm), " "); !strings.HasSuffix(words, q) {
				t.Errorf("%+v: %q does not end with %q", e, text, q)
			}
		}
	})
}

// undress takes the colours away.
func undress(s string) string {
	for _, code := range []string{"0", "1", "2", "33"} {
		s = strings.ReplaceAll(s, "\x1b["+code+"m", "")
	}
	return s
}
