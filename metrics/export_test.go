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
