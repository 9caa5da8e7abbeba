package attacher_test

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/procfs"
)

// A dead watch notes how long dead threads of a process wait to be reaped.
type deadWatch struct {
	since   map[int]time.Time // those dead at the last look
	last    time.Time         // that was
	longest time.Duration
}

// deadWatchBlind is how far apart two looks may be. Where they are further,
// everybody was held up, and not the dead alone.
const deadWatchBlind = 100 * time.Millisecond

// look reads the states of all threads but the leader, which stays a zombie as
// long as others live.
func (w *deadWatch) look(t testing.TB, pid int) {
	t.Helper()
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	tids, err := p.AppendTIDs(nil)
	if err != nil {
		t.Fatal(err)
	}
	now, dead := time.Now(), make(map[int]time.Time)
	if now.Sub(w.last) > deadWatchBlind {
		w.since = nil
	}
	for _, tid := range tids {
		st, err := p.Status(tid)
		if errors.Is(err, fs.ErrNotExist) || err == nil && st.State != 'Z' || tid == pid {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		since, ok := w.since[tid]
		if !ok {
			since = now
		}
		dead[tid] = since
		w.longest = max(w.longest, now.Sub(since))
	}
	w.since, w.last = dead, now
}

// tracedBy is the age by which a thread that lives on is traced, where threads are born
// all the time. Only a campaign is strict: on a busy machine the tracer may be without
// CPU for a while, and who is never found is untraced at any age. Instrumented for races
// it is not held to that: see there.
var tracedBy = time.Duration(size(3_000, 250)) * time.Millisecond

// checkedBirths waits for n births that were looked at, and has f look on meanwhile.
// Births that were looked at too late don't count; on a busy machine many are.
func checkedBirths(t testing.TB, p *target.Target, n int64, f func()) target.Account {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		f()
		a := account(t, p)
		if a.Births.Checked >= n {
			return a
		}
		if time.Since(begin) > time.Duration(size(5, 10))*time.Minute {
			t.Fatalf("births are slow: %+v", a.Births)
		}
	}
}

// Threads that are born all the time and live a while are all attached to by
// the age of tracedBy, beside creators of threads that end at once; nobody is
// disturbed, and the dead are reaped.
func TestBirths(t *testing.T) {
	for _, follow := range following {
		t.Run(follow.String(), func(t *testing.T) {
			p := start(t, target.Spec{Epoll: 100, Sem: 20, Churn: 4, Births: target.Births{
				Rate: size(100, 300), Life: tracedBy + 550*time.Millisecond, Check: tracedBy}})
			s := attach(t, p.PID(), &attacher.Options{Follow: follow})
			if err := p.Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
			var dead deadWatch
			a := checkedBirths(t, p, int64(size(100, 30_000)), func() { dead.look(t, p.PID()) })
			t.Logf("%+v, churn %d; some dead for %v", *a.Births, a.Born, dead.longest)
			if a.Births.Untraced != 0 {
				t.Errorf("untraced at the age of %v: %+v", tracedBy, *a.Births)
			}
			// Births that were held up make up for it, and may run out of places.
			if campaign() && a.Births.Skipped != 0 {
				t.Errorf("births were skipped: %+v", *a.Births)
			}
			// Two looks that find the same thread dead are 20 ms apart.
			if campaign() && dead.longest > time.Second {
				t.Errorf("threads are dead for up to %v", dead.longest)
			}
			left := dead.since
			eventually(t, "those who are dead now are reaped", func() bool {
				dead.look(t, p.PID())
				for tid := range left {
					if _, still := dead.since[tid]; !still {
						delete(left, tid)
					}
				}
				return len(left) == 0
			})
			undisturbed(t, p)
			endsByItself(t, p, s)
			r := detach(t, s)
			if got := r.Threads; got.Exited != got.Attached || got.Found != got.Attached+got.Vanished+got.Zombie+got.Failed || got.Failed != 0 {
				t.Errorf("threads: %+v", got)
			}
		})
	}
}

// endsByItself ends the target; the session must follow.
func endsByItself(t testing.TB, p *target.Target, s *attacher.Session) {
	t.Helper()
	if err := p.Exit(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Ended():
	case <-time.After(patience):
		t.Fatal("the end of the target went unnoticed")
	}
	if !s.Report().Ended {
		t.Error("the report does not say that it has ended")
	}
}

// The session's account of births and exits and the target's own agree.
func TestBirthsAccount(t *testing.T) {
	for _, follow := range following {
		t.Run(follow.String(), func(t *testing.T) {
			const rate = 100
			begin := time.Now()
			p := start(t, target.Spec{Epoll: 50, Births: target.Births{
				Rate: rate, Life: tracedBy + 550*time.Millisecond, Check: tracedBy}})
			s := attach(t, p.PID(), &attacher.Options{Follow: follow})
			before := account(t, p).Births
			start := s.Report().Threads
			there := start.Attached - start.Born
			after := checkedBirths(t, p, before.Checked+100, func() {}).Births
			endsByItself(t, p, s)
			r := detach(t, s)
			got := r.Threads
			if got.Born != r.Events.Births || got.Exited != r.Events.Exits || got.Exited != got.Attached || got.Attached != there+got.Born {
				t.Errorf("%+v, %+v; %d at the start", got, r.Events, there)
			}
			if got.Found != got.Attached+got.Vanished+got.Zombie+got.Failed {
				t.Errorf("threads: %+v", got)
			}
			// Those that were born before the first account and lived at the
			// attach are no births to us, but checked later. Those born since
			// the last account are.
			least := int(after.Checked-before.Checked) - int(before.Born-before.Ended)
			if r.Events.Births < least || after.Untraced != before.Untraced {
				t.Errorf("%d births reported, at least %d were traced: %+v", r.Events.Births, least, *after)
			}
			// Births that were held up make up for it, but are no more in all.
			if most := int(time.Since(begin).Seconds()*rate) + 100; r.Events.Births > most {
				t.Errorf("%d births reported of at most %d", r.Events.Births, most)
			}
		})
	}
}

// Case 44: what the session counts is what was made, one by one.
func TestBirthsOneByOne(t *testing.T) {
	for _, follow := range following {
		t.Run(follow.String(), func(t *testing.T) {
			p := start(t, target.Spec{Epoll: 20})
			s := attach(t, p.PID(), &attacher.Options{Follow: follow})
			before := s.Report().Threads
			runtimes := threadsOf(t, p, "runtime")
			made := 60
			const ended = 40
			var tids []int
			for i, kind := range []string{target.KindEpoll, target.KindFutex, target.KindSem} {
				more, err := p.Spawn(t.Context(), kind, made/3)
				if err != nil {
					t.Fatal(err)
				}
				if tids = append(tids, more...); i == 1 {
					time.Sleep(20 * time.Millisecond)
				}
			}
			allTraced(t, p)
			// On a busy machine Go's runtime may start one of its own.
			made += threadsOf(t, p, "runtime") - runtimes
			for _, tid := range tids[:ended] {
				if err := p.End(t.Context(), tid); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "those that ended are buried", func() bool { return s.Report().Threads.Exited == ended })
			r := detach(t, s)
			if got := r.Threads; got.Born != made || got.Found != before.Found+made || got.Attached != before.Attached+made || got.Exited != ended ||
				r.Events.Births != made || r.Events.Exits != ended {
				t.Errorf("%+v, %+v; before %+v", got, r.Events, before)
			}
			free(t, p.PID())
			undisturbed(t, p)
		})
	}
}

// threadsOf counts the target's threads of a kind.
func threadsOf(t testing.TB, p *target.Target, kind string) int {
	t.Helper()
	all, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(all[kind])
}

// Case 61: creators that make threads without pause, beside many that sleep:
// the attach ends, and has all of those that sleep.
func TestAttachUnderChurn(t *testing.T) {
	for _, follow := range append([]attacher.Follow{attacher.FollowNone}, following...) {
		t.Run(follow.String(), func(t *testing.T) {
			p := start(t, target.Spec{Futex: size(2_000, 5_000), Churn: 2})
			for range size(3, 20) {
				s := attach(t, p.PID(), &attacher.Options{Follow: follow})
				all, err := p.List(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				known := make(map[int]bool)
				for th := range s.Threads() {
					known[th.TID] = th.Phase.Seized()
				}
				for _, tid := range all[target.KindFutex] {
					if !known[tid] {
						t.Fatalf("thread %d is not attached to: %+v", tid, s.Report())
					}
				}
				if r := detach(t, s); r.Passes < 2 {
					t.Errorf("%d passes, converged %v", r.Passes, r.Converged)
				}
			}
			free(t, p.PID())
			undisturbed(t, p)
		})
	}
}
