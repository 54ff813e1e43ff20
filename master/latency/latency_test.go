package latency_test

import (
	"sync"
	"testing"
	"time"

	"tdkvs/master/latency"
)

// TestBuckets: whatever is added lies below the bound of its bucket, and above
// that of the one before.
func TestBuckets(t *testing.T) {
	t.Parallel()
	bounds := latency.Bounds()
	for _, d := range []time.Duration{0, 1, time.Microsecond, 100 * time.Microsecond, 101 * time.Microsecond, 150 * time.Microsecond,
		time.Millisecond, 7 * time.Millisecond, time.Second, 90 * time.Second, 106 * time.Second, time.Hour} {
		var h latency.Histogram
		h.Add(d)
		counts := h.Counts()
		if len(counts) != len(bounds)+1 {
			t.Fatalf("%d buckets for %d bounds", len(counts), len(bounds))
		}
		for i, n := range counts {
			if n == 0 {
				continue
			}
			const rounding = 1e-9
			if i < len(bounds) && d.Seconds() > bounds[i]*(1+rounding) || i > 0 && d.Seconds() < bounds[i-1]*(1-rounding) {
				t.Errorf("%v is in bucket %d of %v", d, i, bounds)
			}
		}
	}
	if last := bounds[len(bounds)-1]; bounds[0] != 1e-4 || last < 60 || last > 120 {
		t.Errorf("bounds %v", bounds)
	}
}

func TestConcurrentAdds(t *testing.T) {
	t.Parallel()
	var h latency.Histogram
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 1000 {
				h.Add(time.Duration(i) * time.Millisecond)
			}
		})
	}
	wg.Wait()
	total := uint64(0)
	for _, n := range h.Counts() {
		total += n
	}
	if total != 4000 {
		t.Errorf("%d counted, want 4000", total)
	}
}
