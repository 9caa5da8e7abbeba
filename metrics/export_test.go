package metrics

const Patience = patience

// Forwarding is how many delays of signals are still to be counted.
func (r *Recorder) Forwarding() int {
	b := r.timings.forward
	b.observing.Lock()
	defer b.observing.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.took)
}

// ByProc has a process counted by /proc.
func (c *Census) ByProc(pid int) { c.tasks[pid] = nil }

// Iterates says whether one is counted by the kernel's iterator.
func (c *Census) Iterates(pid int) bool { return c.tasks[pid] != nil }
