package threadset_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	. "massattach/threadset"
)

var phases = []Phase{Found, Running, Stopping, Held, Listening, Parked, Exited, Vanished, Zombie, Failed}

var events = []Event{
	Seized, Missing, LeaderZombie, Refused, Interrupted, Stopped, Passed, Resumed,
	Listened, Continued, InKernel, Unparked, Execed, Ended, LetGo,
}

// The table once more, the other way around and by hand: what a change of
// moves changes has to be said twice.
const table = `
              found     running   stopping  held      listening parked
seized        running   -         -         -         -         -
missing       vanished  -         -         -         -         -
leader-zombie zombie    -         -         -         -         -
refused       failed    -         -         -         -         -
interrupted   -         stopping  stopping  -         stopping  stopping
stopped       -         held      held      held      held      held
passed        -         running   stopping  running   running   parked
resumed       -         -         running   running   -         -
listened      -         listening listening listening listening listening
continued     -         -         -         -         running   -
in-kernel     -         parked    parked    -         -         parked
unparked      -         -         -         -         -         running
execed        -         running   stopping  held      -         parked
ended         -         exited    exited    exited    exited    exited
let-go        -         vanished  vanished  vanished  vanished  vanished
`

func TestNextOverTheWholeProduct(t *testing.T) {
	want := map[string]string{} // "phase event" to phase
	lines := strings.Split(strings.TrimSpace(table), "\n")
	from := strings.Fields(lines[0])
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		for i, to := range cells[1:] {
			if to != "-" {
				want[from[i]+" "+cells[0]] = to
			}
		}
	}
	if len(lines)-1 != len(events) {
		t.Fatalf("the table has %d events, there are %d", len(lines)-1, len(events))
	}
	for p := range 256 {
		for e := range 256 {
			p, e := Phase(p), Event(e)
			got, ok := Next(p, e)
			to, possible := want[p.String()+" "+e.String()]
			switch {
			case ok != possible:
				t.Errorf("Next(%v, %v): possible is %v, want %v", p, e, ok, possible)
			case ok && got.String() != to:
				t.Errorf("Next(%v, %v) = %v, want %v", p, e, got, to)
			case !ok && got != p:
				t.Errorf("Next(%v, %v) is impossible, but changed the phase to %v", p, e, got)
			}
		}
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	check := func(s string) {
		t.Helper()
		if s == "" || strings.ContainsAny(s, "( ") || s != strings.ToLower(s) || seen[s] {
			t.Errorf("bad name %q", s)
		}
		seen[s] = true
	}
	for _, p := range phases {
		check(p.String())
	}
	for _, e := range events {
		check(e.String())
	}
	if len(phases) != NumPhases {
		t.Errorf("NumPhases = %d, want %d", NumPhases, len(phases))
	}
	last := events[len(events)-1]
	for _, odd := range []fmt.Stringer{Phase(NumPhases), Phase(255), Event(0), last + 1, Event(255)} {
		if !strings.Contains(odd.String(), "(") {
			t.Errorf("%T beyond the last is called %v", odd, odd)
		}
	}
}

func TestKindsOfPhase(t *testing.T) {
	for p := range 256 {
		p := Phase(p)
		alive := p <= Parked
		seized := alive && p != Found
		ended := p == Exited || p == Vanished || p == Zombie || p == Failed
		if p.Alive() != alive || p.Seized() != seized || p.Ended() != ended {
			t.Errorf("%v: alive %v, seized %v, ended %v", p, p.Alive(), p.Seized(), p.Ended())
		}
	}
}

func TestEveryPhaseCanBeReached(t *testing.T) {
	reached := map[Phase]bool{Found: true}
	for range phases {
		for _, p := range phases {
			for _, e := range events {
				if q, ok := Next(p, e); ok && reached[p] {
					reached[q] = true
				}
			}
		}
	}
	if len(reached) != len(phases) {
		t.Errorf("reached only %v", reached)
	}
}

// FuzzNext runs a thread through any events and checks what must hold
// whatever the table says.
func FuzzNext(f *testing.F) {
	f.Add([]byte{byte(Seized), byte(Interrupted), byte(Passed), byte(Stopped), byte(Resumed), byte(Ended), byte(Seized)})
	f.Add([]byte{byte(Seized), byte(Listened), byte(Interrupted), byte(Stopped), byte(Listened), byte(Continued), byte(LetGo)})
	f.Add([]byte{byte(Seized), byte(InKernel), byte(Passed), byte(Unparked), byte(InKernel), byte(Stopped), 0, 255})
	f.Fuzz(func(t *testing.T, seq []byte) {
		p, seized := Found, false
		for i, b := range seq {
			e := Event(b)
			q, ok := Next(p, e)
			at := fmt.Sprintf("step %d: %v by %v to %v, %v", i, p, e, q, ok)
			switch {
			case !ok && q != p:
				t.Fatal("impossible, yet it moved: ", at)
			case ok && q >= NumPhases:
				t.Fatal("no phase: ", at)
			case p.Ended() && ok:
				t.Fatal("an end isn't final: ", at)
			case q == Found && p != Found:
				t.Fatal("found again: ", at)
			case ok && p == Found && (e == Seized) != q.Seized():
				t.Fatal("only a SEIZE seizes: ", at)
			case ok && q == Held && p != Held && e != Stopped:
				t.Fatal("held without a stop: ", at)
			case ok && p == Held && e == Interrupted:
				t.Fatal("a stop that nobody awaits: ", at)
			case ok && q == Stopping && p != Stopping && e != Interrupted:
				t.Fatal("stopping unasked: ", at)
			case ok && q == Parked && p != Parked && e != InKernel:
				t.Fatal("parked unconfirmed: ", at)
			case ok && q == Listening && e != Listened:
				t.Fatal("listens without LISTEN: ", at)
			case q == Exited && p != Exited && !seized:
				t.Fatal("exited, never seized: ", at)
			case seized && (q == Zombie || q == Failed):
				t.Fatal("seized before: ", at)
			}
			if q.Seized() {
				seized = true
				for _, e := range []Event{Ended, LetGo} {
					if r, ok := Next(q, e); !ok || !r.Ended() {
						t.Fatalf("a seized thread can't end: %v by %v", q, e)
					}
				}
			}
			p = q
		}
	})
}

func TestMoveError(t *testing.T) {
	var s Set
	sh := s.Shard(1)
	sh.Found([]int{42}, false)
	_, err := sh.Move(42, Stopped)
	var me *MoveError
	if !errors.As(err, &me) || *me != (MoveError{TID: 42, Event: Stopped, Phase: Found}) {
		t.Errorf("error %#v", err)
	}
	if got, want := err.Error(), "thread 42: stopped: impossible while found"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	_, err = sh.Move(43, Ended)
	if got, want := err.Error(), "thread 43: ended: no such thread in the set"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	if !errors.As(err, &me) || !me.Unknown {
		t.Errorf("error %#v", err)
	}
}
