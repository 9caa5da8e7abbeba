package threadset_test

import (
	"math"
	"slices"
	"testing"

	. "massattach/threadset"
)

// upTo is n consecutive tids from the first on.
func upTo(first, n int) []int {
	tids := make([]int, n)
	for i := range tids {
		tids[i] = first + i
	}
	return tids
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

func equalSlices(t *testing.T, what string, got, want []int) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func move(t *testing.T, sh *Shard, tid int, events ...Event) Thread {
	t.Helper()
	var th Thread
	for _, e := range events {
		var err error
		if th, err = sh.Move(tid, e); err != nil {
			t.Fatal(err)
		}
	}
	return th
}

func TestZeroSetIsEmpty(t *testing.T) {
	var s Set
	for range s.All() {
		t.Error("All yields")
	}
	for range s.In(Found) {
		t.Error("In yields")
	}
	_, ok := s.Get(1)
	equal(t, "Get", ok, false)
	equal(t, "Counts", s.Counts(), Counts{})
	equal(t, "Totals", s.Totals(), Totals{})
	equal(t, "Snapshot", len(s.Snapshot(nil)), 0)
	equalSlices(t, "Fresh", s.Fresh([]int{3, 1}, []int{9}), []int{9, 3, 1})
	equalSlices(t, "Missing", s.Missing([]int{3, 1}, []int{9}), []int{9})
}

func TestShardIsMadeOnce(t *testing.T) {
	var s Set
	a, b := s.Shard(10), s.Shard(20)
	if a == b || a != s.Shard(10) || b != s.Shard(20) {
		t.Error("shards are mixed up")
	}
	equal(t, "owner", b.Owner(), 20)
}

func TestLifeOfAThread(t *testing.T) {
	var s Set
	sh := s.Shard(7)
	sh.Found([]int{100}, true)
	sh.SetStart(100, 555)
	got := move(t, sh, 100, Seized, Interrupted, Passed, Stopped)
	want := Thread{TID: 100, Start: 555, Owner: 7, Phase: Held, Born: true}
	equal(t, "held", got, want)
	if got, ok := s.Get(100); !ok || got != want {
		t.Errorf("Get: %+v, %v", got, ok)
	}
	if got, ok := sh.Get(100); !ok || got != want {
		t.Errorf("Shard.Get: %+v, %v", got, ok)
	}
	if got, err := sh.Move(100, Interrupted); err == nil || got != want {
		t.Errorf("a held thread was interrupted: %+v, %v", got, err)
	}
	equal(t, "live", sh.Live(), 1)

	want.Phase = Exited
	equal(t, "ended", move(t, sh, 100, Resumed, Ended), want)
	_, ok := s.Get(100)
	equal(t, "known after its end", ok, false)
	_, err := sh.Move(100, Ended)
	equal(t, "ended twice", err != nil, true)
	equal(t, "live", sh.Live(), 0)
	c := Counts{}
	c[Exited] = 1
	equal(t, "counts", s.Counts(), c)
	equal(t, "totals", s.Totals(), Totals{Found: 1, Attached: 1, Born: 1, Exited: 1})
}

func TestJobStopped(t *testing.T) {
	var s Set
	sh := s.Shard(1)
	sh.Found([]int{5}, false)
	for _, step := range []struct {
		tid        int
		on, change bool
	}{{5, false, false}, {5, true, true}, {5, true, false}, {6, true, false}, {5, false, true}, {5, true, true}} {
		equal(t, "news", sh.SetJobStopped(step.tid, step.on), step.change)
	}
	th, _ := s.Get(5)
	equal(t, "bit", th, Thread{TID: 5, Owner: 1, JobStopped: true})
	equal(t, "other bits and phase", move(t, sh, 5, Seized, Listened), Thread{TID: 5, Owner: 1, Phase: Listening, JobStopped: true})
}

func TestFoundSkipsTheKnown(t *testing.T) {
	var s Set
	a, b := s.Shard(1), s.Shard(2)
	a.Found([]int{5, 6, 5}, false)
	a.Apply([]int{6}, Seized)
	b.Found([]int{6, 7, 5}, true)
	a.Found([]int{5, 6, 7}, true)
	b.Found([]int{0, -1, math.MinInt, math.MaxInt, math.MaxInt32 + 1}, false)
	equal(t, "sum", s.Counts().Sum(), 3)
	for tid, owner := range map[int]int{5: 1, 6: 1, 7: 2} {
		th, _ := s.Get(tid)
		equal(t, "owner", th.Owner, owner)
		equal(t, "born", th.Born, tid == 7)
	}
}

func TestFoundReplacesTheEnded(t *testing.T) {
	for _, end := range []Event{Missing, Refused, LeaderZombie, Ended, LetGo} {
		for _, other := range []bool{false, true} {
			var s Set
			sh := s.Shard(1)
			sh.Found([]int{5, 6}, false)
			if end == Ended || end == LetGo {
				move(t, sh, 5, Seized)
			}
			sh.SetStart(5, 99)
			move(t, sh, 5, end)
			before := s.Totals()
			if other {
				sh = s.Shard(2)
			}
			sh.Found([]int{5}, true)
			th, _ := s.Get(5)
			equal(t, end.String(), th, Thread{TID: 5, Owner: sh.Owner(), Born: true})
			move(t, sh, 5, Seized)
			want := before
			want.Found++
			want.Attached++
			want.Born++
			equal(t, end.String(), s.Totals(), want)
			equal(t, "records", len(s.Snapshot(nil)), 2)
			equal(t, "sum", s.Counts().Sum(), 3)
		}
	}
}

func TestApplyMovesWhomItCan(t *testing.T) {
	var s Set
	sh, other := s.Shard(1), s.Shard(2)
	sh.Found(upTo(1, 10), false)
	other.Found([]int{11}, false)
	equal(t, "seized", sh.Apply(upTo(1, 5), Seized), 5)
	equal(t, "again, with strangers", sh.Apply(append(upTo(0, 13), 5), Seized), 5)
	equal(t, "live", sh.Live(), 10)
	equal(t, "ended, one twice", sh.Apply([]int{1, 2, 2, 3}, Ended), 3)
	equal(t, "nothing", sh.Apply(upTo(1, 20), 0), 0)
	equal(t, "live", sh.Live(), 7)
	equal(t, "live of the set", s.Counts().Live(), 7)
	equalSlices(t, "fresh", s.Fresh(upTo(1, 12), nil), []int{1, 2, 3, 12})
}

func TestTotals(t *testing.T) {
	var s Set
	a, b := s.Shard(1), s.Shard(2)
	a.Found(upTo(1, 10), false)
	b.Found(upTo(11, 10), true)
	equal(t, "pending", s.Totals(), Totals{Pending: 20})
	a.Apply([]int{1}, LeaderZombie)
	a.Apply([]int{2, 3}, Missing)
	a.Apply([]int{4}, Refused)
	a.Apply(upTo(5, 5), Seized) // 10 stays
	a.Apply([]int{5}, LetGo)
	a.Apply([]int{6, 7}, Ended)
	b.Apply([]int{11, 12}, Missing) // newborns that were too brief
	b.Apply([]int{13}, Refused)
	b.Apply(upTo(14, 7), Seized)
	b.Apply([]int{14}, Ended)
	want := Totals{Found: 17, Attached: 11, Vanished: 3, Zombie: 1, Failed: 2, Born: 8, Exited: 3, Pending: 1, Fleeting: 2}
	equal(t, "totals", s.Totals(), want)
	// Forgetting and reuse take nothing away.
	s.Missing(nil, nil)
	equal(t, "totals", s.Totals(), want)
	b.Found([]int{1, 2, 11}, true)
	want.Pending += 3
	equal(t, "totals", s.Totals(), want)
}

func TestScan(t *testing.T) {
	var s Set
	a, b := s.Shard(1), s.Shard(2)
	a.Found([]int{1, 2, 3, 4}, false)
	b.Found([]int{5, 6, 7, 8, 9}, false)
	a.Apply([]int{1}, LeaderZombie)
	a.Apply([]int{2}, Refused)
	a.Apply([]int{3}, Missing)
	b.Apply([]int{6, 7, 8}, Seized)
	b.Apply([]int{8}, Ended)
	b.Apply([]int{7}, Interrupted)

	// Zombie, failed, found and seized threads are known; vanished and
	// exited ones are not.
	equalSlices(t, "fresh", s.Fresh([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -1}, nil), []int{3, 8, 10})
	equalSlices(t, "missing none", s.Missing(upTo(1, 9), nil), nil)
	equalSlices(t, "missing", s.Missing([]int{1, 2, 6}, []int{0}), []int{0, 7})
	equalSlices(t, "still fresh", s.Fresh(upTo(1, 3), nil), []int{3})
	// A listing without the zombie and the failed one forgets both.
	equalSlices(t, "missing all", slices.Sorted(slices.Values(s.Missing(nil, nil))), []int{6, 7})
	equalSlices(t, "fresh again", s.Fresh(upTo(1, 3), nil), []int{1, 2, 3})
	equal(t, "counted still", s.Counts()[Zombie]+s.Counts()[Failed], 2)
	equal(t, "sum", s.Counts().Sum(), 9)
}

func TestIteration(t *testing.T) {
	var s Set
	const n = 3000 // more than a few chunks a shard
	for i := range 3 {
		sh := s.Shard(i + 1)
		sh.Found(upTo(1+i*n/3, n/3), false)
		sh.Apply(upTo(1+i*n/3, n/6), Seized)
	}
	seen := map[int]bool{}
	for th := range s.All() {
		if seen[th.TID] {
			t.Fatal("twice: ", th)
		}
		seen[th.TID] = true
		if len(seen) == n/2 {
			break
		}
	}
	equal(t, "until break", len(seen), n/2)

	// The body may change what it iterates over.
	clear(seen)
	for th := range s.All() {
		seen[th.TID] = true
		sh := s.Shard(th.Owner)
		if th.Phase == Running {
			move(t, sh, th.TID, Ended)
		} else {
			move(t, sh, th.TID, Seized)
		}
	}
	equal(t, "all", len(seen), n)
	equal(t, "left", len(s.Snapshot(nil)), n/2)

	count := func(p Phase) (k int) {
		for th := range s.In(p) {
			equal(t, "phase", th.Phase, p)
			k++
		}
		return k
	}
	equal(t, "running", count(Running), n/2)
	equal(t, "exited", count(Exited), 0)
	equal(t, "no phase", count(Phase(200)), 0)
	k := 0
	for range s.Shard(2).In(Running) {
		k++
	}
	for range s.Shard(2).All() {
		k++
	}
	equal(t, "of one shard", k, 2*n/6)
}
