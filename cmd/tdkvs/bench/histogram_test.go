package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestQuantiles compares with the exact ones, for shapes that latencies have.
func TestQuantiles(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	shapes := map[string]func() time.Duration{
		"uniform":     func() time.Duration { return time.Duration(rng.Int64N(int64(time.Second))) },
		"exponential": func() time.Duration { return time.Duration(rng.ExpFloat64() * float64(time.Millisecond)) },
		"two humps": func() time.Duration {
			return time.Duration((1 + 99*float64(rng.IntN(2))) * (1 + rng.Float64()) * float64(time.Microsecond))
		},
		"tiny":     func() time.Duration { return time.Duration(rng.IntN(300)) },
		"constant": func() time.Duration { return 4242 * time.Microsecond },
		"wide":     func() time.Duration { return time.Duration(math.Exp(rng.Float64() * 40)) },
	}
	for name, draw := range shapes {
		for _, n := range []int{1, 2, 10, 999, 100_000} {
			h := new(histogram)
			exact := make([]time.Duration, n)
			for i := range exact {
				exact[i] = draw()
				h.record(exact[i])
			}
			slices.Sort(exact)
			for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 0.999, 1} {
				want := exact[max(int(math.Ceil(q*float64(n)))-1, 0)]
				got := h.quantile(q)
				if diff := math.Abs(float64(got - want)); diff > float64(want)/256+1 {
					t.Errorf("%s, %d values: quantile %v is %v, want %v", name, n, q, got, want)
				}
			}
			l := h.latency()
			if l.Max != exact[n-1] || l.P999 > l.Max || l.P99 > l.P999 || l.P90 > l.P99 || l.P50 > l.P90 {
				t.Errorf("%s, %d values: %+v, the largest is %v", name, n, l, exact[n-1])
			}
		}
	}
}

// TestBuckets walks over the whole range: buckets follow each other without gap,
// and the middle of each lies in it.
func TestBuckets(t *testing.T) {
	t.Parallel()
	last := 0
	for _, v := range edges() {
		b := bucketOf(v)
		if b < last || b >= buckets {
			t.Fatalf("%d lies in bucket %d, behind %d of %d", v, b, last, buckets)
		}
		if m := middle(b); bucketOf(m) != b || math.Abs(float64(m)-float64(v)) > float64(v)/linear {
			t.Fatalf("%d lies in bucket %d, whose middle is %d in %d", v, b, m, bucketOf(m))
		}
		last = b
	}
	if bucketOf(math.MaxUint64) != buckets-1 {
		t.Errorf("the last bucket is %d, not %d", bucketOf(math.MaxUint64), buckets-1)
	}
}

// edges are numbers around each power of two, in order.
func edges() []uint64 {
	var all []uint64
	for v := range uint64(1024) {
		all = append(all, v)
	}
	for shift := 11; shift < 64; shift++ {
		for _, d := range []uint64{1, 0, 1 << (shift - 9), 1 << (shift - 2)} {
			if d == 1 {
				all = append(all, 1<<shift-1)
			} else {
				all = append(all, 1<<shift+d)
			}
		}
	}
	return all
}

// TestHistogramsAdd: what two have counted, one has.
func TestHistogramsAdd(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	both, a, b := new(histogram), new(histogram), new(histogram)
	for i := range 10_000 {
		d := time.Duration(rng.ExpFloat64() * 1e6)
		both.record(d)
		[]*histogram{a, b}[i%2].record(d)
	}
	a.add(b)
	if *a != *both {
		t.Error("the sum of two histograms is not that of their values")
	}
	if (new(histogram)).latency() != (Latency{}) {
		t.Error("nothing has a latency")
	}
	both.record(-time.Second)
	if both.counts[0] == 0 {
		t.Error("a clock that goes back counts as no time")
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	h := new(histogram)
	if n := testing.AllocsPerRun(1000, func() { h.record(1234567) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
