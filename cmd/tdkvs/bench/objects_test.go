package bench

import (
	"bytes"
	"errors"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
)

const samples = 200_000

func TestSizesAreDrawn(t *testing.T) {
	t.Parallel()
	for _, s := range []Sizes{{4096, 4096, false}, {0, 0, false}, {1, 1024, false}, {0, 7, false}, {1 << 10, 1 << 20, true}, {0, 100, true}, {5, 5, true}} {
		var sum float64
		least, most := int64(math.MaxInt64), int64(-1)
		for n := range uint64(samples) {
			size := s.of(n)
			if size != s.of(n) {
				t.Fatalf("%v: object %d has two sizes", s, n)
			}
			sum += float64(size)
			least, most = min(least, size), max(most, size)
		}
		if least < s.Least || most > s.Most || float64(most) < 0.98*float64(s.Most) {
			t.Errorf("%v: %d to %d", s, least, most)
		}
		if mean := sum / samples; math.Abs(mean-float64(s.mean())) > 0.03*float64(s.Most)+1 {
			t.Errorf("%v: %.1f on average, said to be %d", s, mean, s.mean())
		}
	}
}

// TestSizesAreSpread: each tenth of a uniform range, and each power of two of a
// logarithmic one, has its share.
func TestSizesAreSpread(t *testing.T) {
	t.Parallel()
	uniform, octaves := make([]float64, 10), make([]float64, 10)
	for n := range uint64(samples) {
		uniform[Sizes{0, 9999, false}.of(n)/1000]++
		octaves[bits.Len64(uint64(Sizes{1 << 10, 1<<20 - 1, true}.of(n)))-11]++
	}
	for i := range 10 {
		for name, share := range map[string]float64{"uniform": uniform[i], "log": octaves[i]} {
			if math.Abs(share/samples-0.1) > 0.005 {
				t.Errorf("%s: %d of 10 has %.3f of all", name, i, share/samples)
			}
		}
	}
}

// TestKeysAreDrawn: each distribution has its shape.
func TestKeysAreDrawn(t *testing.T) {
	t.Parallel()
	const n = 1000
	draw := func(keys Keys) []float64 {
		w := &worker{session: &session{keys: keys}, rng: rand.New(rand.NewPCG(1, 1))}
		if keys == Zipf {
			w.zipf = newZipf(w.rng, n)
		}
		counts := make([]float64, n)
		for range samples {
			counts[w.choose(n)]++
		}
		return counts
	}
	for i, c := range draw(Sequential) {
		if c != samples/n {
			t.Fatalf("sequential: %d came %v times", i, c)
		}
	}
	for i, c := range draw(Random) {
		if math.Abs(c-samples/n) > 6*math.Sqrt(samples/n) {
			t.Errorf("random: %d came %v times", i, c)
		}
	}
	counts := draw(Zipf)
	var sum float64
	for k := range n {
		sum += math.Pow(float64(k+1), -zipfExponent)
	}
	for _, k := range []int{0, 1, 9, 99} {
		want := samples * math.Pow(float64(k+1), -zipfExponent) / sum
		if math.Abs(counts[k]-want) > 6*math.Sqrt(want) {
			t.Errorf("zipf: %d came %v times, want %.0f", k, counts[k], want)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	var last []byte
	for _, number := range []uint64{0, 1, 9, 10, 1234567890, 9999999999} {
		name := appendName(nil, "bench-x/", number, int64(number)+5)
		if bytes.Compare(last, name) >= 0 {
			t.Errorf("%s is not behind %s", name, last)
		}
		if n, size, ok := parseName(string(name)); n != number || size != int64(number)+5 || !ok {
			t.Errorf("%s is read as %d, %d, %v", name, n, size, ok)
		}
		last = name
	}
	for _, bad := range []string{"", "x", "1", "1-", "-1", "1--2", "a-1", "1-2/"} {
		if _, _, ok := parseName(bad); ok {
			t.Errorf("%q is taken for a name", bad)
		}
	}
}

// TestContent: whole or in pieces, an object has the same bytes, and another has
// others.
func TestContent(t *testing.T) {
	t.Parallel()
	c := newContent()
	const number, size = 77, 2*patternSize + 12345
	whole := bytes.Join(c.pieces(nil, number, 0, size), nil)
	if len(whole) != size || !bytes.Equal(whole, bytes.Join(newContent().pieces(nil, number, 0, size), nil)) {
		t.Fatal("content is not the same twice")
	}
	part := bytes.Join(c.pieces(nil, number, patternSize-3, 100_000), nil)
	if !bytes.Equal(part, whole[patternSize-3:][:100_000]) {
		t.Error("a part is not part of the whole")
	}
	if bytes.Equal(whole[:64], bytes.Join(c.pieces(nil, number+1, 0, 64), nil)) {
		t.Error("two objects have the same content")
	}
	check := func(p []byte) error {
		k := checker{content: c, number: number}
		var err error
		for from := 0; from < len(p) && err == nil; from += 100_001 {
			err = k.take(p[from:min(from+100_001, len(p))])
		}
		return err
	}
	if err := check(whole); err != nil {
		t.Error(err)
	}
	whole[size-1]++
	var f *failure
	if err := check(whole); !errors.As(err, &f) || f.kind != wrongBytes {
		t.Errorf("the last byte is wrong: %v", err)
	}
}
