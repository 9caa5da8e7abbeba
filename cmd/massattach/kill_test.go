//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"massattach/internal/sys"
	"massattach/internal/target"
	"massattach/procfs"
)

// The command is killed in each of its phases, at a moment drawn from all of the
// phase: the target runs on, nobody of it is stopped or traced, and no signal was
// lost or doubled. With signals under load: queued ones, with a sequence number
// each; handled ones that don't queue; and ignored ones.
func TestKill(t *testing.T) {
	for _, loaded := range []bool{false, true} {
		for _, in := range []phase{phaseAttach, phaseHold, phaseDetach} {
			testKill(t, &killing{verb: "attach", in: in, loaded: loaded})
		}
	}
}

// The same of stop. Calls that the arrest had interrupted, and nobody had seen to
// yet, fail with EINTR then: that can't be helped, and is counted.
func TestKillStop(t *testing.T) {
	for _, loaded := range []bool{false, true} {
		for _, in := range stopPhases {
			testKill(t, &killing{verb: "stop", in: in, loaded: loaded})
		}
	}
}

// The same of stop in notify style, whose arrest interrupts nobody: it is arming and
// confirming. Of threads that block all signals each that is on its way out of the
// kernel is interrupted.
func TestKillStopNotify(t *testing.T) {
	needsTaskWork(t)
	for _, in := range stopPhases {
		// The phases beside the hold last some ms: under load few kills hit them.
		if campaign() || in == phaseHold {
			testKill(t, &killing{verb: "stop", notify: true, in: in, loaded: true})
		}
		if campaign() || in != phaseHold {
			testKill(t, &killing{verb: "stop", notify: true, in: in})
		}
		if campaign() || in == phaseHold {
			testKill(t, &killing{verb: "stop", notify: true, in: in, blocked: true})
		}
	}
}

var stopPhases = []phase{phaseArrest, phaseHold, phaseResume}

func testKill(t *testing.T, k *killing) {
	t.Run(k.name(), func(t *testing.T) {
		rounds, most := 3, 30
		if campaign() {
			rounds, most = 300, 6_000
		}
		spec := target.Mix(1_000)
		spec.Recv, spec.Orphan = 32, true
		spec.Signals = map[int]target.Disposition{sigHandled: target.SigHandle, sigIgnored: target.SigIgnore}
		if k.blocked {
			spec.Block = everySignal()
		}
		k.t, k.target = t, startTarget(t, spec)
		if k.loaded {
			k.load = startLoad(t, k.target)
		}
		k.measure()
		tries := 0
		for ; k.counted < rounds && tries < most && !t.Failed(); tries++ {
			k.round()
		}
		if k.counted < rounds {
			// On a machine that is busy a phase of some ms may be over before it is
			// heard of.
			const few = "only %d kills of %d hit the phase, %d any phase"
			if campaign() || k.found == 0 {
				t.Errorf(few, k.counted, tries, k.found)
			} else {
				t.Logf(few, k.counted, tries, k.found)
			}
		}
		eventually(t, "the watchdogs end", func() bool { return len(watchdogs()) == 0 })
		a := account(t, k.target)
		calls := a.Kinds[target.KindEpoll].EINTR
		if !k.loaded {
			calls = a.EINTR + a.Early
			if calls != 0 && (k.notify || k.in != phaseArrest) {
				t.Errorf("disturbed: EINTR %d, early %d", a.EINTR, a.Early)
			}
		} else {
			k.load.stop()
		}
		a = account(t, k.target)
		t.Logf("%d kills in a phase of %v, by its quarters %v (%d others); %d queued and %d handled signals, none lost; %d calls interrupted that had no part in them",
			k.counted, k.length, k.quarters, tries-k.counted, a.Received(), a.Runs[sigHandled], calls)
	})
}

// everySignal is blocked by all the target's threads.
func everySignal() map[string][]int {
	var all []int
	for sig := 1; sig <= 64; sig++ {
		all = append(all, sig)
	}
	block := make(map[string][]int)
	for _, kind := range []string{
		target.KindLeader, target.KindFutex, target.KindEpoll, target.KindSem, target.KindSleep, target.KindRead, target.KindSpin, target.KindRecv,
	} {
		block[kind] = all
	}
	return block
}

// killing is the kills in one phase.
type killing struct {
	verb    string
	in      phase
	notify  bool // style
	loaded  bool
	blocked bool // all signals, by all threads

	t       *testing.T
	target  *target.Target
	load    *load // nil for none
	counted int
	found   int // those that found the command in any phase
	// Those of the counted that were in each quarter of the length, and later.
	quarters [5]int

	length   time.Duration // of the phase, undisturbed
	from, to time.Duration // when it is, after the step before it
}

func (k *killing) name() string {
	s := fmt.Sprintf("%s,loaded=%v", k.in, k.loaded)
	if k.blocked {
		s += ",blocked"
	}
	return s
}

// stay is how long the command holds the target.
const stay = 30 * time.Millisecond

func (k *killing) start() *process {
	args := []string{k.verb, "--phase-fd", "3", "--for", stay.String(), strconv.Itoa(k.target.PID())}
	if k.notify {
		args = append(args, "--style", "notify")
	}
	return prepare(k.t, "massattach", args...).start()
}

// steps is what each verb does, and the test knows of, in its order.
var steps = map[string][]phase{
	"attach": {"start", phaseAttach, phaseHold, phaseDetach, phaseDone},
	"stop":   {"start", phaseAttach, phaseArrest, phaseHold, phaseResume, phaseDetach, phaseDone},
}

// step is the one that is n after the phase.
func (k *killing) step(n int) phase {
	all := steps[k.verb]
	return all[slices.Index(all, k.in)+n]
}

// measure learns when the phase is.
func (k *killing) measure() {
	var lengths, froms, tos []time.Duration
	for range 7 {
		at := map[phase]time.Time{"start": time.Now()}
		p := k.start()
		for e := range p.phases {
			at[e.phase] = e.at
		}
		p.ends(exitComplete)
		before, begin, end := at[k.step(-1)], at[k.in], at[k.step(1)]
		lengths = append(lengths, end.Sub(begin))
		froms, tos = append(froms, begin.Sub(before)), append(tos, end.Sub(before))
	}
	slices.Sort(lengths)
	slices.Sort(froms)
	slices.Sort(tos)
	// Not the extremes: the machine may have been busy with something else.
	k.length, k.from, k.to = lengths[3], froms[1], tos[5]
}

// round is one kill. Only one that finds the command in the phase counts.
//
// Its moment is drawn from the length of the phase, and half as much again. To
// hear of its beginning takes a while, too, which counts where the phase is
// short: so half of those are drawn from a longer time, which begins with the
// step before and has the phase in it.
func (k *killing) round() {
	t := k.t
	t.Helper()
	after, from, to := k.in, time.Duration(0), 3*k.length/2
	if k.in != phaseHold && rand.IntN(2) == 0 {
		after, from, to = k.step(-1), k.from, k.to
	}
	begin, last := time.Now(), entered{phase: steps[k.verb][0]}
	p := k.start()
	for last.phase != after {
		e, ok := <-p.phases
		if !ok {
			t.Fatalf("it has ended by itself:\n%s", p.stderr.String())
		}
		begin, last = e.at, e
	}
	moment := from + rand.N(max(to-from, 1))
	left := moment - time.Since(begin)
	sys.Nap(left)
	killed := time.Now()
	_ = p.Process.Kill()
	p.died()
	loaded := k.load == nil || k.load.wasOn(killed)
	// Dead is dead: everybody has been let go by now.
	isFree(t, k.target)
	for e := range p.phases {
		last = e
	}
	lives(t, k.target, k.load != nil)
	if !p.ProcessState.Exited() && last.phase != steps[k.verb][0] && last.phase != phaseDone {
		k.found++
	}
	if left > 0 && last.phase == k.in && loaded && !p.ProcessState.Exited() {
		k.counted++
		// It may have come to the phase between the look at the clock and the kill.
		k.quarters[max(0, min(int(4*killed.Sub(last.at)/k.length), 4))]++
	}
	if k.notify {
		eventually(t, "no signal of a program's is pending", func() bool { return pending(t, k.target)&mayNotify == 0 })
	}
	if t.Failed() {
		t.Logf("killed %v after %s, in %s", moment, after, last.phase)
	}
}

// lives waits until the target has run on, and received signals if there are any.
func lives(t *testing.T, tg *target.Target, signals bool) {
	t.Helper()
	before := account(t, tg)
	eventually(t, "the target runs on", func() bool {
		now := account(t, tg)
		return now.Spins > before.Spins && (!signals || now.Received() > before.Received())
	})
}

// mayNotify are the signals that notify style sends, which nobody else does here.
const mayNotify = 1<<(syscall.SIGURG-1) | 1<<(syscall.SIGWINCH-1) | 1<<(syscall.SIGCHLD-1)

// pending are the signals that are pending for any thread of the target.
func pending(t *testing.T, tg *target.Target) (set uint64) {
	t.Helper()
	eachThread(t, tg.PID(), func(p *procfs.Process, tid int) {
		if st, err := p.Status(tid); err == nil {
			set |= st.SigPnd | st.ShdPnd
		}
	})
	return set
}
