package erasure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

func coder(t testing.TB, data, parity int) *Coder {
	t.Helper()
	c, err := NewCoder(Scheme{data, parity})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func bodyOf(n int64, seed uint64) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// encode returns the shards of a body.
func encode(t testing.TB, c *Coder, body []byte) [][]byte {
	t.Helper()
	shards := make([][]byte, c.Shards())
	size, err := c.Encode(iotest.HalfReader(bytes.NewReader(body)), func(units [][]byte) error {
		for i, u := range units {
			shards[i] = append(shards[i], u...)
		}
		return nil
	})
	if err != nil || size != int64(len(body)) {
		t.Fatalf("encoded %d of %d bytes: %v", size, len(body), err)
	}
	return shards
}

// store opens shards and counts what is read of each.
type store struct {
	shards [][]byte
	gone   map[int]bool
	failAt map[int]int64 // the offset at which reading a shard fails
	hangAt map[int]int64 // the offset at which reading a shard waits for its context to end; -1: opening it does

	mu     sync.Mutex // guards what follows
	opened map[int]int
	read   int64
	open   int
}

var errGone = errors.New("gone")

type counted struct {
	io.Reader
	s *store
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.read += int64(n)
	return n, err
}

func (c *counted) Close() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.open--
	return nil
}

// hung waits for the end of a context.
type hung struct{ ctx context.Context }

func (h hung) Read([]byte) (int, error) {
	<-h.ctx.Done()
	return 0, h.ctx.Err()
}

func (s *store) Open(ctx context.Context, i int, offset, length int64) (io.ReadCloser, error) {
	if s.gone[i] {
		return nil, errGone
	}
	hang, hangs := s.hangAt[i]
	if hangs && hang < 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened == nil {
		s.opened = map[int]int{}
	}
	s.opened[i]++
	s.open++
	var r io.Reader = bytes.NewReader(s.shards[i][offset : offset+length])
	if at, ok := s.failAt[i]; ok && at < offset+length {
		r = io.MultiReader(io.LimitReader(r, max(0, at-offset)), iotest.ErrReader(errGone))
	}
	if hangs && hang < offset+length {
		r = io.MultiReader(io.LimitReader(r, max(0, hang-offset)), hung{ctx})
	}
	return &counted{r, s}, nil
}

// wantClosed waits until all shards that were opened have been closed.
func (s *store) wantClosed(t testing.TB) {
	t.Helper()
	for wait := time.Millisecond; wait < 10*time.Second; wait *= 2 {
		s.mu.Lock()
		open := s.open
		s.mu.Unlock()
		if open == 0 {
			return
		}
		time.Sleep(wait)
	}
	t.Fatal("a shard stays open")
}

// whole reads a range to its end.
func whole(r *Reader) ([]byte, error) {
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func sizes(c *Coder) []int64 {
	s := c.stripe()
	return []int64{0, 1, 2, int64(c.Data), int64(c.Data) + 1, Unit - 1, Unit, Unit + 1, s - 1, s, s + 1, 2 * s, 3*s + 12345}
}

func TestShardSize(t *testing.T) {
	t.Parallel()
	for _, scheme := range []Scheme{{1, 1}, {2, 1}, {4, 2}, {8, 3}} {
		c := coder(t, scheme.Data, scheme.Parity)
		for _, size := range sizes(c) {
			var total int64
			for i, shard := range encode(t, c, bodyOf(size, 1)) {
				if int64(len(shard)) != c.ShardSize(size) {
					t.Errorf("%s, %d bytes: shard %d has %d bytes, want %d", scheme, size, i, len(shard), c.ShardSize(size))
				}
				total += int64(len(shard))
			}
			if least := (size*int64(scheme.Shards()) + int64(scheme.Data) - 1) / int64(scheme.Data); total-least > int64(scheme.Shards()) {
				t.Errorf("%s, %d bytes: %d bytes stored, %d would do", scheme, size, total, least)
			}
		}
	}
}

// TestAnyKShards: every choice of lost shards within the parity reads back whole,
// and one more does not.
func TestAnyKShards(t *testing.T) {
	t.Parallel()
	c := coder(t, 4, 2)
	for _, size := range sizes(c) {
		body := bodyOf(size, uint64(size))
		shards := encode(t, c, body)
		for mask := range 1 << c.Shards() {
			s := &store{shards: shards, gone: map[int]bool{}}
			for i := range c.Shards() {
				s.gone[i] = mask>>i&1 == 1
			}
			lost := 0
			for _, gone := range s.gone {
				if gone {
					lost++
				}
			}
			got, err := whole(c.NewReader(t.Context(), size, 0, size, s.Open, Patience{}))
			s.wantClosed(t)
			switch {
			case size == 0 && err == nil && len(got) == 0:
			case lost <= c.Parity && (err != nil || !bytes.Equal(got, body)):
				t.Fatalf("%d bytes, lost %b: %v, equal %v", size, mask, err, bytes.Equal(got, body))
			case lost > c.Parity && err == nil && mask&15 != 0 && size >= c.stripe():
				t.Fatalf("%d bytes, lost %b: read all the same", size, mask)
			case lost > c.Parity && err != nil && (!errors.Is(err, ErrTooFewShards) || !errors.Is(err, errGone)):
				t.Fatalf("%d bytes, lost %b: %v", size, mask, err)
			}
		}
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	for _, scheme := range []Scheme{{1, 1}, {3, 2}, {4, 2}} {
		c := coder(t, scheme.Data, scheme.Parity)
		size := 3*c.stripe() + 777
		body := bodyOf(size, 3)
		shards := encode(t, c, body)
		for i := range 400 {
			offset := rng.Int64N(size + 1)
			length := rng.Int64N(size - offset + 1)
			if i%2 == 0 {
				length = min(length, rng.Int64N(2*Unit))
			}
			s := &store{shards: shards, gone: map[int]bool{}, failAt: map[int]int64{}}
			for range rng.IntN(c.Parity + 1) {
				if victim := rng.IntN(c.Shards()); rng.IntN(2) == 0 {
					s.gone[victim] = true
				} else {
					s.failAt[victim] = rng.Int64N(c.ShardSize(size))
				}
			}
			r := c.NewReader(t.Context(), size, offset, length, s.Open, Patience{})
			var got bytes.Buffer
			var err error
			if i%3 == 0 {
				_, err = r.WriteTo(&got)
			} else {
				_, err = io.Copy(&got, iotest.HalfReader(struct{ io.Reader }{r}))
			}
			if err != nil || !bytes.Equal(got.Bytes(), body[offset:offset+length]) {
				t.Fatalf("%s: %d bytes from %d without %v, %v: %v, %d bytes", scheme, length, offset, s.gone, s.failAt, err, got.Len())
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			s.wantClosed(t)
		}
	}
}

// TestHealthyReadsAreCheap: a small range touches one shard and little of it, a
// whole body none of the parity.
func TestHealthyReadsAreCheap(t *testing.T) {
	t.Parallel()
	c := coder(t, 4, 2)
	size := 5 * c.stripe()
	s := &store{shards: encode(t, c, bodyOf(size, 9))}
	if _, err := whole(c.NewReader(t.Context(), size, c.stripe()+Unit+10, 100, s.Open, Patience{})); err != nil {
		t.Fatal(err)
	}
	if len(s.opened) != 1 || s.opened[1] != 1 || s.read != 100 {
		t.Errorf("100 bytes opened %v and read %d bytes", s.opened, s.read)
	}
	s = &store{shards: s.shards}
	if _, err := whole(c.NewReader(t.Context(), size, 2*Unit-1, c.stripe()+2, s.Open, Patience{})); err != nil {
		t.Fatal(err)
	}
	if len(s.opened) != 4 || s.read != 6*Unit {
		t.Errorf("a stripe and two units opened %v and read %d units", s.opened, s.read/Unit)
	}
	s = &store{shards: s.shards, gone: map[int]bool{1: true}}
	if got, err := whole(c.NewReader(t.Context(), size, c.stripe()+Unit+10, 100, s.Open, Patience{})); err != nil || len(got) != 100 {
		t.Fatal(len(got), err)
	}
	if len(s.opened) != 4 || s.read != 400 {
		t.Errorf("100 bytes of a lost shard opened %v and read %d bytes", s.opened, s.read)
	}
	s = &store{shards: s.shards}
	if _, err := whole(c.NewReader(t.Context(), size, 0, size, s.Open, Patience{time.Minute, time.Minute})); err != nil {
		t.Fatal(err)
	}
	if len(s.opened) != 4 || s.opened[0] != 1 || s.read != size {
		t.Errorf("the whole opened %v and read %d of %d bytes", s.opened, s.read, size)
	}
}

func TestRestore(t *testing.T) {
	t.Parallel()
	c := coder(t, 4, 2)
	for _, size := range sizes(c) {
		shards := encode(t, c, bodyOf(size, 5))
		for _, wanted := range [][]int{{0}, {5}, {1, 4}, {4, 5}, {3, 0}} {
			s := &store{shards: shards}
			got := make([][]byte, len(wanted))
			err := c.Restore(t.Context(), size, wanted, s.Open, func(units [][]byte) error {
				for j := range units {
					got[j] = append(got[j], units[j]...)
				}
				return nil
			})
			if err != nil {
				t.Fatalf("%d bytes, %v: %v", size, wanted, err)
			}
			s.wantClosed(t)
			for j, i := range wanted {
				if !bytes.Equal(got[j], shards[i]) {
					t.Fatalf("%d bytes: shard %d came out differently", size, i)
				}
				if s.opened[i] != 0 {
					t.Fatalf("shard %d was read", i)
				}
			}
		}
	}
	s := &store{shards: encode(t, c, bodyOf(1000, 5)), gone: map[int]bool{2: true}}
	if err := c.Restore(t.Context(), 1000, []int{0, 1}, s.Open, func([][]byte) error { return nil }); !errors.Is(err, ErrTooFewShards) || !errors.Is(err, errGone) {
		t.Errorf("restored from three: %v", err)
	}
	if err := c.Restore(t.Context(), 1000, []int{6}, s.Open, nil); !errors.Is(err, ErrScheme) {
		t.Errorf("shard 6: %v", err)
	}
}

func TestErrorsPass(t *testing.T) {
	t.Parallel()
	c := coder(t, 2, 1)
	broken := errors.New("broken")
	if _, err := c.Encode(iotest.ErrReader(broken), nil); !errors.Is(err, broken) {
		t.Errorf("of the body: %v", err)
	}
	if _, err := c.Encode(bytes.NewReader(make([]byte, 10)), func([][]byte) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("of put: %v", err)
	}
	short := &store{shards: encode(t, c, bodyOf(1000, 1))}
	truncated := func(_ context.Context, i int, offset, length int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(short.shards[i][offset : offset+length-1])), nil
	}
	if _, err := whole(c.NewReader(t.Context(), 1000, 0, 1000, truncated, Patience{})); !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, ErrTooFewShards) {
		t.Errorf("of short shards: %v", err)
	}
	for _, s := range []Scheme{{0, 1}, {1, 0}, {-1, 2}, {60, 5}, {1 << 40, 1 << 40}} {
		if _, err := NewCoder(s); !errors.Is(err, ErrScheme) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// TestGolden keeps the layout: what was written must be readable for ever.
func TestGolden(t *testing.T) {
	t.Parallel()
	c := coder(t, 3, 2)
	shards := encode(t, c, []byte("twenty bytes of body"))
	want := []string{"twenty ", "bytes o", "f body\x00"}
	for i, w := range want {
		if string(shards[i]) != w {
			t.Errorf("data shard %d is %q", i, shards[i])
		}
	}
	if got := fmt.Sprintf("%x %x", shards[3], shards[4]); got != goldenParity {
		t.Errorf("parity is %s, want %s", got, goldenParity)
	}
}

const goldenParity = "702e736463204f a8e8ff302c8ba2"

func BenchmarkEncode(b *testing.B) {
	c := coder(b, 4, 2)
	body := bodyOf(8<<20, 1)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := c.Encode(bytes.NewReader(body), func([][]byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	c := coder(b, 4, 2)
	body := bodyOf(8<<20, 1)
	shards := encode(b, c, body)
	for name, gone := range map[string]map[int]bool{"whole": nil, "two lost": {0: true, 2: true}} {
		b.Run(name, func(b *testing.B) {
			s := &store{shards: shards, gone: gone}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				r := c.NewReader(b.Context(), int64(len(body)), 0, int64(len(body)), s.Open, Patience{time.Minute, time.Minute})
				if _, err := r.WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
				_ = r.Close()
			}
		})
	}
}

// TestUnitsAfterError: what somebody still looks at when put has failed is not
// written over by whoever encodes next.
func TestUnitsAfterError(t *testing.T) {
	t.Parallel()
	c := coder(t, 4, 2)
	var kept [][]byte
	first := bodyOf(c.stripe(), 1)
	_, err := c.Encode(bytes.NewReader(first), func(units [][]byte) error {
		kept = slices.Clone(units)
		return errGone
	})
	if !errors.Is(err, errGone) {
		t.Fatal(err)
	}
	for seed := range uint64(8) {
		encode(t, c, bodyOf(2*c.stripe(), 10+seed))
	}
	if got := bytes.Join(kept[:c.Data], nil); !bytes.Equal(got, first) {
		t.Error("the units have changed")
	}
}
