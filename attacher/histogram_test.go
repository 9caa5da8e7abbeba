package attacher

import (
	"math"
	"testing"
	"time"
)

// Each value is in the bucket that its top says, and no more than 1/32 below it.
func TestHistogramBuckets(t *testing.T) {
	check := func(v uint64) {
		t.Helper()
		b := bucket(v)
		if top(b) < v || top(b)-v > v/32 || b > 0 && top(b-1) >= v {
			t.Errorf("%d is in bucket %d, which ends at %d", v, b, top(b))
		}
	}
	for v := range uint64(10_000) {
		check(v)
	}
	for shift := range 63 {
		for _, d := range []uint64{0, 1, 1<<shift - 1} {
			check(min(1<<shift+d, math.MaxInt64))
		}
	}
	check(math.MaxInt64)
}

func TestHistogramQuantiles(t *testing.T) {
	var h histogram
	if q := h.quantiles(); q != (Quantiles{}) {
		t.Errorf("of none: %+v", q)
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	h.add(-time.Second)
	within := func(got, want time.Duration) bool { return got >= want && got <= want+want/32 }
	if q := h.quantiles(); !within(q.P50, 500*time.Millisecond) || !within(q.P99, 990*time.Millisecond) || q.Max != time.Second {
		t.Errorf("%+v", q)
	}
}
