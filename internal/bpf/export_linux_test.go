//go:build linux && (amd64 || arm64)

package bpf

// Stall keeps the log from being read until goOn is called.
func (b *Births) Stall() (goOn func()) {
	b.log.mu.Lock()
	return b.log.mu.Unlock
}

// Logs is how many there are.
func Logs() int {
	logs.Lock()
	defer logs.Unlock()
	return len(logs.open)
}

// Notifiers says whether there is one.
func Notifiers() bool {
	shared.Lock()
	defer shared.Unlock()
	return shared.notifier != nil
}

// Stall keeps its methods from going on until goOn is called.
func (n *Notify) Stall() (goOn func()) {
	n.mu.Lock()
	return n.mu.Unlock
}
