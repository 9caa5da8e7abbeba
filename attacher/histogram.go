package attacher

import (
	"math/bits"
	"time"
)

// histogram counts durations of any length in little memory: each power of two
// is divided into 32 buckets, so that a quantile is off by 3 % at the most. The
// zero value is empty.
type histogram struct {
	counts [(64 - fineBits) << fineBits]uint64
	total  uint64
	max    time.Duration
}

const fineBits = 5

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

// bucket is the one for v: its five highest bits behind the first, and how many
// follow.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-fineBits-1, 0)
	return shift<<fineBits + int(v>>shift)
}

// top is the largest value in a bucket.
func top(bucket int) uint64 {
	shift := max(bucket>>fineBits-1, 0)
	return (uint64(bucket-shift<<fineBits)+1)<<shift - 1
}

func (h *histogram) quantiles() Quantiles {
	return Quantiles{P50: h.quantile(0.5), P99: h.quantile(0.99), Max: h.max}
}

func (h *histogram) quantile(q float64) time.Duration {
	rank, seen := uint64(q*float64(h.total)), uint64(0)
	for i, n := range h.counts {
		if seen += n; seen > rank {
			return min(time.Duration(top(i)), h.max)
		}
	}
	return h.max
}
