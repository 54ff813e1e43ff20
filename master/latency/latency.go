// Package latency counts how long things take, cheaply enough for every request:
// an addition to one of a few counters, from which two samples give the
// percentiles of the time between them. It knows nothing of what it counts.
package latency

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	first = 100 * time.Microsecond // bound of the first bucket
	steps = 41                     // buckets with a bound: each bound is the square root of 2 times the one before
)

// Histogram counts durations in buckets. The zero value is ready for use, from
// many goroutines.
type Histogram struct {
	counts [steps + 1]atomic.Uint64 // the last has no bound
	sum    atomic.Int64             // nanoseconds
}

// Bounds are the upper bounds of the buckets but the last, in seconds.
func Bounds() []float64 {
	bounds := make([]float64, steps)
	for i := range bounds {
		bounds[i] = first.Seconds() * math.Pow(2, float64(i)/2)
	}
	return bounds
}

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) {
	i := 0
	if d > first {
		i = min(int(math.Ceil(2*math.Log2(float64(d)/float64(first)))), steps)
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Sum is what all durations so far come to.
func (h *Histogram) Sum() time.Duration { return time.Duration(h.sum.Load()) }

// Counts are the numbers of durations in each bucket so far.
func (h *Histogram) Counts() []uint64 {
	counts := make([]uint64, len(h.counts))
	for i := range counts {
		counts[i] = h.counts[i].Load()
	}
	return counts
}
