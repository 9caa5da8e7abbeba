package attacher

import "sync"

// jobControl tells one group-stop of the target from the next. Each thread
// reports that it has stopped, and that it goes on; but the first may go on
// before the last has reported its stop, and that is no new one.
//
// So stops are numbered, and each thread remembers the last that it took part
// in: only one who has been in the newest can begin another.
type jobControl struct {
	mu sync.Mutex
	n  uint32 // the number of the newest stop, 0 before the first
	on bool   // it has not ended
}

// newest is the number of the newest stop.
func (j *jobControl) newest() uint32 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.n
}

// stop notes that a thread has stopped, which was in stop number last before.
// It answers which stop this is, and whether nobody has told of it yet.
func (j *jobControl) stop(last uint32) (n uint32, fresh bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if fresh = !j.on && last == j.n; fresh {
		j.n++
		j.on = true
	}
	return j.n, fresh
}

// resume notes that a thread goes on, which was in stop number last. It says
// whether it is the first.
func (j *jobControl) resume(last uint32) (first bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first = j.on && last == j.n
	j.on = j.on && !first
	return first
}

// joined notes which group-stop its new tracees need not tell of: all that have
// been.
func (t *tracer) joined(tids ...int) {
	n := t.s.job.newest()
	if n == 0 {
		return
	}
	for _, tid := range tids {
		t.stops[tid] = n
	}
}

// groupStopped notes that a tracee is in group-stop.
func (t *tracer) groupStopped(s Stop) {
	n, fresh := t.s.job.stop(t.stops[s.TID])
	t.stops[s.TID] = n
	t.shard.SetJobStopped(s.TID, true)
	if fresh {
		t.s.stats.groupStops.Add(1)
		t.s.publish(Event{Kind: EventGroupStop, TID: s.TID, Signal: s.Signal})
	}
}

// groupContinued notes that it is no more.
func (t *tracer) groupContinued(tid int) {
	t.shard.SetJobStopped(tid, false)
	if t.s.job.resume(t.stops[tid]) {
		t.s.publish(Event{Kind: EventContinue, TID: tid})
	}
}
