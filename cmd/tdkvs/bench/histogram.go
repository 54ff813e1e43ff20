package bench

import (
	"math/bits"
	"time"
)

// Each power of two is divided into this many buckets of one width, so a value is
// known to 1/128 of itself (log-linear buckets, as in HdrHistogram by Gil Tene).
const (
	precision = 7
	linear    = 1 << precision
	buckets   = (64 - precision + 1) * linear
)

// histogram counts durations. Its size does not depend on how many there are. It
// belongs to one goroutine.
type histogram struct {
	counts [buckets]uint64
	count  uint64
	sum    time.Duration
	max    time.Duration
}

// bucketOf returns the bucket of a value: below linear each has its own.
func bucketOf(v uint64) int {
	if v < linear {
		return int(v)
	}
	shift := bits.Len64(v) - precision - 1
	return (shift+1)*linear + int(v>>shift) - linear
}

// middle returns the value in the middle of a bucket.
func middle(bucket int) uint64 {
	if bucket < linear {
		return uint64(bucket)
	}
	shift := bucket/linear - 1
	low := uint64(bucket%linear+linear) << shift
	return low + uint64(1)<<shift/2
}

func (h *histogram) record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.count++
	h.sum += d
	h.max = max(h.max, d)
}

func (h *histogram) add(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.count += other.count
	h.sum += other.sum
	h.max = max(h.max, other.max)
}

// quantile returns the value that the share q of all are not above, to 1/256 of
// itself: never more than the largest that was seen. None: 0.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.count))
	if float64(rank) < q*float64(h.count) {
		rank++
	}
	var seen uint64
	for i, n := range h.counts {
		if seen += n; n > 0 && seen >= rank {
			return min(time.Duration(middle(i)), h.max)
		}
	}
	return h.max
}

// Latency is how long requests took that were answered as they should be.
type Latency struct {
	Mean time.Duration `json:"mean_ns"`
	P50  time.Duration `json:"p50_ns"`
	P90  time.Duration `json:"p90_ns"`
	P99  time.Duration `json:"p99_ns"`
	P999 time.Duration `json:"p999_ns"`
	Max  time.Duration `json:"max_ns"`
}

func (h *histogram) latency() Latency {
	if h.count == 0 {
		return Latency{}
	}
	return Latency{
		Mean: h.sum / time.Duration(h.count),
		P50:  h.quantile(0.5), P90: h.quantile(0.9), P99: h.quantile(0.99), P999: h.quantile(0.999),
		Max: h.max,
	}
}
