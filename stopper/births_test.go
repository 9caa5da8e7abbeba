package stopper_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
	"massattach/stopper"
)

// Births at each call of an arrest: everybody stands still when it is over,
// however births are heard of.
func TestBirthsMeanwhile(t *testing.T) {
	for _, follow := range []attacher.Follow{attacher.FollowScan, attacher.FollowClone, attacher.FollowEvent, attacher.FollowNone} {
		t.Run(follow.String(), func(t *testing.T) {
			for at := int64(1); at < 120; at++ {
				onFake(t, 5, attacher.Options{Share: 2, Follow: follow, Settle: time.Hour}, func(f *fake) {
					var calls atomic.Int64
					f.hook(func(string, int) error {
						if n := calls.Add(1); n == at || n == at+7 {
							f.m.Spawn(0)
						}
						return nil
					})
					h := f.arrest(stopper.Request{})
					born := len(f.m.Threads()) - 5
					f.areStopped(f.m.Threads()...)
					if got := h.Report(); got.Stopped != 5+born {
						t.Errorf("%d are held, %d were born", got.Stopped, born)
					}
					must(t, h.Resume())
					f.areStopped()
				})
			}
		})
	}
}

// One that could not be stopped goes on in the middle of a hold of all, and gives
// birth: whoever is born then is held.
func TestBirthInHold(t *testing.T) {
	for _, follow := range []attacher.Follow{attacher.FollowScan, attacher.FollowClone, attacher.FollowEvent} {
		onFake(t, 4, attacher.Options{Follow: follow}, func(f *fake) {
			f.m.Set(102, attachertest.Disk)
			h := f.arrest(stopper.Request{Within: time.Second, Partial: true})
			f.m.Set(102, attachertest.EpollWait)
			f.m.Return(102, 0)
			synctest.Wait()
			born := f.m.Spawn(102)
			if follow != attacher.FollowClone {
				time.Sleep(time.Second)
			}
			f.areStopped(100, 101, 103, born)
			if got := h.TIDs(); !slices.Equal(got, []int{100, 101, 103, born}) {
				t.Errorf("%v are held", got)
			}
			must(t, h.Resume())
			f.areStopped()
		})
	}
}
