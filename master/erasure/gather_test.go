package erasure

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

// hasty is little patience: enough for a shard in memory, mostly.
var hasty = Patience{Begin: 20 * time.Millisecond, Next: 20 * time.Millisecond}

// TestSlowShards: as many shards as there is parity may hang, at the start or in
// the middle, and the body comes all the same. One that fails on top is too much.
func TestSlowShards(t *testing.T) {
	t.Parallel()
	c := coder(t, 4, 2)
	size := 3*c.stripe() + 777
	body := bodyOf(size, 3)
	shards := encode(t, c, body)
	for _, hangAt := range []map[int]int64{
		{0: -1}, {1: 0}, {3: Unit}, {0: -1, 2: -1}, {1: -1, 4: -1}, {2: Unit + 1, 3: 2 * Unit}, {0: 3 * Unit, 5: -1},
	} {
		s := &store{shards: shards, hangAt: hangAt}
		got, err := whole(c.NewReader(t.Context(), size, 0, size, s.Open, hasty))
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("hanging %v: %v, %d bytes", hangAt, err, len(got))
		}
		s.wantClosed(t)
	}
	s := &store{shards: shards, hangAt: map[int]int64{0: -1, 2: -1}, gone: map[int]bool{5: true}}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := whole(c.NewReader(ctx, size, 0, size, s.Open, hasty)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("three shards of four: %v", err)
	}
	s.wantClosed(t)
}

// TestSlowIsBetterThanNone: a shard that is late is waited for where there is no
// other.
func TestSlowIsBetterThanNone(t *testing.T) {
	t.Parallel()
	c := coder(t, 2, 1)
	body := bodyOf(3*c.stripe(), 4)
	s := &store{shards: encode(t, c, body), gone: map[int]bool{2: true}}
	slow := func(ctx context.Context, i int, offset, length int64) (io.ReadCloser, error) {
		if i == 0 {
			time.Sleep(5 * hasty.Begin)
		}
		return s.Open(ctx, i, offset, length)
	}
	got, err := whole(c.NewReader(t.Context(), int64(len(body)), 0, int64(len(body)), slow, hasty))
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%v, %d bytes", err, len(got))
	}
	s.wantClosed(t)
}

// TestDamageAllOver: more shards are bad than there is parity, but no stripe has
// more than that.
func TestDamageAllOver(t *testing.T) {
	t.Parallel()
	c := coder(t, 4, 2)
	const stripes = 12
	size := stripes*c.stripe() - 5
	body := bodyOf(size, 11)
	shards := encode(t, c, body)
	rng := rand.New(rand.NewPCG(5, 5))
	for range 20 {
		bad := map[[2]int64]bool{}
		for n := range int64(stripes) {
			for _, i := range rng.Perm(c.Shards())[:rng.IntN(c.Parity+1)] {
				bad[[2]int64{int64(i), n}] = true
			}
		}
		s := &store{shards: shards}
		open := func(ctx context.Context, i int, offset, length int64) (io.ReadCloser, error) {
			rc, err := s.Open(ctx, i, offset, length)
			return &spotty{ReadCloser: rc, offset: offset, bad: func(n int64) bool { return bad[[2]int64{int64(i), n}] }}, err
		}
		got, err := whole(c.NewReader(t.Context(), size, 0, size, open, Patience{}))
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("bad %v: %v, %d bytes", bad, err, len(got))
		}
		s.wantClosed(t)
	}
}

// spotty fails at the units that are bad.
type spotty struct {
	io.ReadCloser
	offset int64
	bad    func(unit int64) bool
}

func (s *spotty) Read(p []byte) (int, error) {
	if s.bad(s.offset / Unit) {
		return 0, errGone
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), Unit-s.offset%Unit)])
	s.offset += int64(n)
	return n, err
}

// TestReadAhead: while a stripe is not used up one more is read, and no third.
func TestReadAhead(t *testing.T) {
	t.Parallel()
	c := coder(t, 2, 1)
	size := 10 * c.stripe()
	s := &store{shards: encode(t, c, bodyOf(size, 2))}
	r := c.NewReader(t.Context(), size, 0, size, s.Open, Patience{})
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	read := func() int64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.read
	}
	for deadline := time.Now().Add(10 * time.Second); read() < 2*c.stripe() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	if n := read(); n != 2*c.stripe() {
		t.Errorf("%d bytes were read for the first, want two stripes of %d", n, c.stripe())
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	s.wantClosed(t)
}
