package attacher

import (
	"testing"
	"time"
)

// A listing during which somebody else had the CPU doesn't count.
func TestPace(t *testing.T) {
	var p pace
	if d := p.expect(1000); d != 0 {
		t.Errorf("%v before the first", d)
	}
	p.took(2*time.Millisecond, 1000)
	p.took(400*time.Millisecond, 1000)
	if d := p.expect(2000); d != 4*time.Millisecond {
		t.Errorf("%v", d)
	}
	for range len(p.recent) {
		p.took(8*time.Millisecond, 1000)
	}
	if d := p.expect(1000); d != 8*time.Millisecond {
		t.Errorf("%v when all of late were slower", d)
	}
	p.took(0, 0)
}
