//go:build linux && (amd64 || arm64)

package target

import "testing"

// Each spare thread is one of its own, also where one thread could do the work
// of several.
func TestSpareThreads(t *testing.T) {
	const n = 100
	spareThreads(n)
	tids, err := listTasks()
	if err != nil {
		t.Fatal(err)
	}
	if len(tids) < n {
		t.Errorf("%d threads after %d spare ones were asked for", len(tids), n)
	}
}
