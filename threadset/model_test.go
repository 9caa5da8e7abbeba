package threadset_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	. "massattach/threadset"
)

// A model is a Set made of one map and no thought for speed.
type model struct {
	threads map[int]Thread
	counts  Counts
	totals  Totals
}

func (m *model) found(owner, tid int, born bool) {
	if old, ok := m.threads[tid]; tid <= 0 || ok && !old.Phase.Ended() {
		return
	}
	m.threads[tid] = Thread{TID: tid, Owner: owner, Born: born}
	m.counts[Found]++
}

func (m *model) move(owner, tid int, e Event) bool {
	th, ok := m.threads[tid]
	if !ok || th.Owner != owner {
		return false
	}
	p, ok := Next(th.Phase, e)
	if !ok {
		return false
	}
	wasSeized := th.Phase.Seized()
	m.counts[th.Phase]--
	m.counts[p]++
	th.Phase = p
	m.threads[tid] = th
	if p == Exited || p == Vanished {
		delete(m.threads, tid)
	}
	switch n := &m.totals; {
	case p == Vanished && !wasSeized && th.Born:
		n.Fleeting++
		return true
	case p == Vanished && wasSeized:
		n.Attached--
		n.Vanished++
		return true
	case p == Vanished:
		n.Vanished++
	case p == Zombie:
		n.Zombie++
	case p == Failed:
		n.Failed++
	case p == Exited:
		n.Exited++
		return true
	case !wasSeized:
		n.Attached++
	default:
		return true
	}
	if th.Born {
		m.totals.Born++
	}
	return true
}

func (m *model) rename(oldTID, newTID, to int) bool {
	th, ok := m.threads[oldTID]
	if !ok || newTID <= 0 || !th.Phase.Seized() || th.Phase == Listening {
		return false
	}
	if oldTID != newTID {
		leader := m.threads[newTID]
		m.move(leader.Owner, newTID, Missing)
		m.move(leader.Owner, newTID, Ended)
		th.Start = leader.Start
	}
	delete(m.threads, oldTID)
	th.TID, th.Owner = newTID, to
	m.threads[newTID] = th
	return true
}

func (m *model) missing(listed []int) (tids []int) {
	for tid, th := range m.threads {
		if slices.Contains(listed, tid) {
			continue
		}
		if th.Phase.Seized() {
			tids = append(tids, tid)
		} else if th.Phase.Ended() {
			delete(m.threads, tid)
		}
	}
	return tids
}

func byTID(a, b Thread) int { return a.TID - b.TID }

// compare asks both everything.
func compare(t *testing.T, s *Set, m *model, tids int) {
	t.Helper()
	var want []Thread
	for _, th := range m.threads {
		want = append(want, th)
	}
	slices.SortFunc(want, byTID)
	same := func(what string, got []Thread, in func(Thread) bool) {
		t.Helper()
		slices.SortFunc(got, byTID)
		if want := slices.DeleteFunc(slices.Clone(want), func(th Thread) bool { return !in(th) }); !slices.Equal(got, want) {
			t.Fatalf("%s: %+v\nwant %+v", what, got, want)
		}
	}
	all := func(Thread) bool { return true }
	same("Snapshot", s.Snapshot(nil), all)
	same("All", slices.Collect(s.All()), all)
	var sum Counts
	for owner := 1; owner <= 3; owner++ {
		sh := s.Shard(owner)
		same("Shard.All", slices.Collect(sh.All()), func(th Thread) bool { return th.Owner == owner })
		for p, n := range sh.Counts() {
			sum[p] += n
		}
	}
	for _, p := range phases {
		same("In "+p.String(), slices.Collect(s.In(p)), func(th Thread) bool { return th.Phase == p })
	}
	equal(t, "Counts", s.Counts(), m.counts)
	equal(t, "Counts of all shards", sum, m.counts)
	n := m.totals
	n.Pending = m.counts[Found]
	n.Found = n.Attached + n.Vanished + n.Zombie + n.Failed
	equal(t, "Totals", s.Totals(), n)
	equal(t, "Sum", s.Counts().Sum(), n.Found+n.Pending+n.Fleeting)
	fresh := s.Fresh(upTo(1, tids), nil)
	for tid := range tids + 2 {
		th, ok := m.threads[tid]
		if got, known := s.Get(tid); known != ok || got != th {
			t.Fatalf("Get(%d): %+v, %v; want %+v", tid, got, known, th)
		}
		if tid >= 1 && tid <= tids && slices.Contains(fresh, tid) == ok {
			t.Fatalf("Fresh: %d is known: %v", tid, ok)
		}
	}
}

// drive does what the bytes say to a Set and to its model: four a step.
func drive(t *testing.T, ops []byte) {
	const tids = 40
	var s Set
	m := &model{threads: map[int]Thread{}}
	for len(ops) >= 4 {
		op, a, b, owner := ops[0], ops[1], ops[2], int(ops[3]%3)+1
		ops = ops[4:]
		tid, sh := int(a)%(tids+2), s.Shard(owner)
		batch := upTo(tid, int(b>>4))
		flag := b&1 != 0
		switch op % 8 {
		case 0:
			for _, tid := range batch {
				m.found(owner, tid, flag)
			}
			sh.Found(batch, flag)
		case 1, 2:
			e := Event(b % 17)
			th, err := sh.Move(tid, e)
			before := m.threads[tid]
			if ok := m.move(owner, tid, e); ok != (err == nil) {
				t.Fatalf("Move(%d, %v) while %v: %v", tid, e, before.Phase, err)
			}
			if after, ok := m.threads[tid]; ok && after.Owner == owner && th != after {
				t.Fatalf("Move(%d, %v): %+v, want %+v", tid, e, th, after)
			}
		case 3, 4:
			e, n := Event(op/8%17), 0
			if op%8 == 4 {
				e = Seized // or else few ever get anywhere
			}
			for _, tid := range batch {
				if m.move(owner, tid, e) {
					n++
				}
			}
			equal(t, "Apply "+e.String(), sh.Apply(batch, e), n)
		case 5:
			th, ok := m.threads[tid]
			ok = ok && th.Owner == owner
			equal(t, "SetJobStopped", sh.SetJobStopped(tid, flag), ok && th.JobStopped != flag)
			sh.SetStart(tid, uint64(b))
			if ok {
				th.JobStopped, th.Start = flag, uint64(b)
				m.threads[tid] = th
			}
		case 6:
			newTID := int(b) % 12
			if err := s.Rename(tid, newTID, sh); m.rename(tid, newTID, owner) != (err == nil) {
				t.Fatalf("Rename(%d, %d): %v", tid, newTID, err)
			}
		case 7:
			batch := upTo(tid, int(b)%tids)
			want := m.missing(batch)
			slices.Sort(want)
			equalSlices(t, "Missing", slices.Sorted(slices.Values(s.Missing(batch, nil))), want)
		}
		compare(t, &s, m, tids)
		if t.Failed() {
			t.FailNow()
		}
	}
}

func FuzzSet(f *testing.F) {
	f.Add([]byte{0, 1, 255, 0, 4, 1, 255, 0, 6, 3, 1, 1, 7, 0, 0, 0, 3 + 8*14, 1, 255, 0})
	f.Add([]byte{0, 1, 255, 0, 1, 1, 4, 0, 0, 1, 255, 1, 7, 5, 1, 0, 0, 1, 255, 2})
	f.Fuzz(drive)
}

func TestRandomOperations(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		ops := make([]byte, 4*500)
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		drive(t, ops)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
