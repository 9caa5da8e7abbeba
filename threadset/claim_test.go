package threadset_test

import (
	"slices"
	"sync"
	"testing"

	"massattach/threadset"
)

// A thread that is born seized is its tracer's, whatever is known of its
// number.
func TestClaim(t *testing.T) {
	for _, c := range []struct {
		name  string
		other []threadset.Event // what has happened to the number, in another shard
		here  []threadset.Event // or in this one
		want  threadset.Totals
	}{
		{name: "unknown", want: threadset.Totals{Found: 1, Attached: 1, Born: 1}},
		{name: "found elsewhere", other: []threadset.Event{0}, want: threadset.Totals{Found: 1, Attached: 1, Born: 1}},
		{name: "an earlier one elsewhere", other: []threadset.Event{0, threadset.Seized},
			want: threadset.Totals{Found: 2, Attached: 2, Exited: 1, Born: 1}},
		{name: "an earlier one that failed", other: []threadset.Event{0, threadset.Refused},
			want: threadset.Totals{Found: 2, Attached: 1, Failed: 1, Born: 1}},
		{name: "found here", here: []threadset.Event{0}, want: threadset.Totals{Found: 1, Attached: 1}},
		{name: "an earlier one here", here: []threadset.Event{0, threadset.Seized, threadset.Listened},
			want: threadset.Totals{Found: 2, Attached: 2, Exited: 1, Born: 1}},
	} {
		var set threadset.Set
		here, other := set.Shard(1), set.Shard(2)
		for sh, events := range map[*threadset.Shard][]threadset.Event{here: c.here, other: c.other} {
			for _, e := range events {
				if e == 0 {
					sh.Found([]int{77}, false)
				} else {
					sh.Apply([]int{77}, e)
				}
			}
		}
		here.Claim(77)
		if th, ok := set.Get(77); !ok || th.Owner != 1 || th.Phase != threadset.Running {
			t.Errorf("%s: %+v, %v", c.name, th, ok)
		}
		if got := set.Totals(); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if got := set.Counts(); got.Live() != 1 || got[threadset.Found] != 0 {
			t.Errorf("%s: counts %v", c.name, got)
		}
	}
}

func TestWithdraw(t *testing.T) {
	var set threadset.Set
	sh := set.Shard(1)
	sh.Found([]int{5, 6}, false)
	sh.Apply([]int{6}, threadset.Seized)
	for _, tid := range []int{5, 6, 7, 0} {
		sh.Withdraw(tid)
	}
	if fresh := set.Fresh([]int{5, 6}, nil); !slices.Equal(fresh, []int{5}) {
		t.Errorf("fresh: %v", fresh)
	}
	if got := set.Totals(); got != (threadset.Totals{Found: 1, Attached: 1}) {
		t.Errorf("%+v", got)
	}
}

// A scan gives numbers to one tracer while they are born to another.
func TestClaimRaces(t *testing.T) {
	var set threadset.Set
	a, b := set.Shard(1), set.Shard(2)
	const n = 2000
	var wg sync.WaitGroup
	wg.Go(func() {
		for tid := 1; tid <= n; tid++ {
			a.Claim(tid)
		}
	})
	wg.Go(func() {
		for tid := 1; tid <= n; tid++ {
			b.Found([]int{tid}, true)
			b.Withdraw(tid)
		}
	})
	wg.Wait()
	if got := set.Totals(); got != (threadset.Totals{Found: n, Attached: n, Born: n}) {
		t.Errorf("%+v", got)
	}
	if got := a.Live(); got != n {
		t.Errorf("%d are a's", got)
	}
}
