package threadset_test

import (
	"sync"
	"sync/atomic"
	"testing"

	. "massattach/threadset"
)

// Owners make, move, rename and end threads while readers ask everything.
// For the race detector; what readers see is checked as far as it is fixed.
func TestReadersBesideOwners(t *testing.T) {
	const owners, rounds, each = 4, 60, 200
	var s Set
	var done atomic.Bool
	var readers, movers sync.WaitGroup

	reader := func(look func()) {
		readers.Go(func() {
			for !done.Load() {
				look()
			}
		})
	}
	listed := upTo(1, (owners+1)*1000)
	var buf []Thread
	reader(func() {
		buf = s.Snapshot(buf[:0])
		for _, th := range buf {
			if th.Phase == Exited || th.Phase == Vanished || th.TID == 0 {
				t.Error("should be forgotten: ", th)
			}
		}
	})
	reader(func() {
		for th := range s.All() {
			if got, ok := s.Get(th.TID); ok && got.TID != th.TID {
				t.Error("Get is mixed up: ", got)
			}
		}
	})
	reader(func() { s.Fresh(listed, nil) })
	reader(func() { s.Missing(listed[:1000], nil) })
	reader(func() { s.Missing(nil, nil) })
	reader(func() {
		s.Counts()
		n := s.Totals()
		if n.Found != n.Attached+n.Vanished+n.Zombie+n.Failed || n.Exited > n.Attached || n.Born > n.Found {
			t.Errorf("totals %+v", n)
		}
	})

	const leader = 1
	for o := range owners {
		movers.Go(func() {
			sh := s.Shard(o + 1)
			tids := upTo(1000*(o+1), each)
			for range rounds {
				sh.Found(tids, true)
				sh.Found([]int{leader}, true) // whoever comes first
				sh.Apply(tids[:1], Refused)
				sh.Apply(tids, Seized)
				sh.Apply(tids, Interrupted)
				for _, tid := range tids[1:] {
					if _, err := sh.Move(tid, Stopped); err != nil {
						t.Error(err)
					}
				}
				sh.Apply(tids, Resumed)
				sh.SetJobStopped(tids[3], true)
				sh.SetStart(tids[3], 3)
				if err := s.Rename(tids[3], leader, sh); err != nil {
					t.Error(err)
				}
				sh.Apply(tids, Ended)
			}
			s.Shard(owners+1+o).Found([]int{tids[0]}, false)
		})
	}
	movers.Wait()
	done.Store(true)
	readers.Wait()

	n, c := s.Totals(), s.Counts()
	equal(t, "sum", c.Sum(), n.Found+n.Pending+n.Fleeting)
	equal(t, "failed", n.Failed, owners*rounds)
	equal(t, "attached", n.Attached, owners*rounds*(each-1))
	equal(t, "exited but the last to exec", n.Exited, n.Attached-1)
	equal(t, "live", c.Live(), 1)
	equal(t, "pending", n.Pending, owners)
}
