package threadset_test

import (
	"errors"
	"testing"

	. "massattach/threadset"
)

func TestRename(t *testing.T) {
	// Leader 1 belongs to tracer 10, thread 5 to tracer 20.
	for name, c := range map[string]struct {
		leader []Event // what happened to it; nil: nobody found it
		start  uint64
		to     int
		want   Totals
	}{
		"leader seized":     {[]Event{Seized}, 70, 20, Totals{Found: 2, Attached: 2, Exited: 1}},
		"leader held":       {[]Event{Seized, Interrupted, Stopped}, 70, 20, Totals{Found: 2, Attached: 2, Exited: 1}},
		"leader only found": {[]Event{}, 70, 20, Totals{Found: 2, Attached: 1, Vanished: 1}},
		"leader a zombie":   {[]Event{LeaderZombie}, 70, 20, Totals{Found: 2, Attached: 1, Zombie: 1}},
		"leader refused":    {[]Event{Refused}, 70, 20, Totals{Found: 2, Attached: 1, Failed: 1}},
		"leader exited":     {[]Event{Seized, Ended}, 0, 20, Totals{Found: 2, Attached: 2, Exited: 1}},
		"leader unknown":    {nil, 0, 20, Totals{Found: 1, Attached: 1}},
		"into its shard":    {[]Event{Seized}, 70, 10, Totals{Found: 2, Attached: 2, Exited: 1}},
		"into a third":      {[]Event{Seized}, 70, 30, Totals{Found: 2, Attached: 2, Exited: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var s Set
			a, b := s.Shard(10), s.Shard(20)
			if c.leader != nil {
				a.Found([]int{1}, false)
				a.SetStart(1, 70)
				move(t, a, 1, c.leader...)
			}
			b.Found([]int{5}, false)
			b.SetStart(5, 90)
			b.SetJobStopped(5, true)
			move(t, b, 5, Seized, Interrupted)
			if err := s.Rename(5, 1, s.Shard(c.to)); err != nil {
				t.Fatal(err)
			}
			got, _ := s.Get(1)
			equal(t, "record", got, Thread{TID: 1, Start: c.start, Owner: c.to, Phase: Stopping, JobStopped: true})
			equalSlices(t, "fresh", s.Fresh([]int{1, 5}, nil), []int{5})
			equal(t, "records", len(s.Snapshot(nil)), 1)
			equal(t, "live", s.Counts().Live(), 1)
			equal(t, "live there", s.Shard(c.to).Live(), 1)
			equal(t, "totals", s.Totals(), c.want)
			move(t, s.Shard(c.to), 1, Stopped, Resumed, Ended)
			c.want.Exited++
			equal(t, "totals", s.Totals(), c.want)
		})
	}
}

func TestRenameStaysWhereItIs(t *testing.T) {
	var s Set
	sh := s.Shard(10)
	sh.Found([]int{1, 5}, true)
	sh.Apply([]int{1, 5}, Seized)
	if err := s.Rename(5, 1, nil); err != nil {
		t.Fatal(err)
	}
	got, _ := sh.Get(1)
	equal(t, "record", got, Thread{TID: 1, Owner: 10, Phase: Running, Born: true})
	// The leader's own exec.
	before := s.Totals()
	sh.SetStart(1, 33)
	if err := s.Rename(1, 1, sh); err != nil {
		t.Fatal(err)
	}
	got, _ = sh.Get(1)
	equal(t, "record", got, Thread{TID: 1, Start: 33, Owner: 10, Phase: Running, Born: true})
	if err := s.Rename(1, 1, s.Shard(20)); err != nil {
		t.Fatal(err)
	}
	got, _ = s.Get(1)
	equal(t, "record", got, Thread{TID: 1, Start: 33, Owner: 20, Phase: Running, Born: true})
	equal(t, "totals", s.Totals(), before)
}

func TestRenameRefuses(t *testing.T) {
	var s Set
	sh := s.Shard(10)
	sh.Found([]int{1, 2, 3, 4}, false)
	sh.Apply([]int{1, 2, 3}, Seized)
	sh.Apply([]int{2}, Listened)
	before, n := s.Counts(), s.Totals()
	for _, c := range []struct {
		old, new int
		want     MoveError
	}{
		{2, 1, MoveError{TID: 2, Event: Execed, Phase: Listening}},
		{4, 1, MoveError{TID: 4, Event: Execed, Phase: Found}},
		{9, 1, MoveError{TID: 9, Event: Execed, Unknown: true}},
		{-1, 1, MoveError{TID: -1, Event: Execed, Unknown: true}},
		{3, 0, MoveError{TID: 0, Event: Execed, Unknown: true}},
	} {
		var me *MoveError
		if err := s.Rename(c.old, c.new, sh); !errors.As(err, &me) || *me != c.want {
			t.Errorf("Rename(%d, %d): %v, want %v", c.old, c.new, err, &c.want)
		}
	}
	equal(t, "counts", s.Counts(), before)
	equal(t, "totals", s.Totals(), n)
}
