package md5lanes

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// groups are groups of every kind that there can be on this machine.
func groups() map[string]*Group {
	all := map[string]*Group{
		"as it is":    NewGroup(),
		"plain":       newGroup(kernel{}, 2),
		"many spare":  newGroup(best(), 64),
		"none spare":  newGroup(best(), 1),
		"two to fill": newGroup(best(), 2),
	}
	for name, k := range kernels() {
		all[name] = newGroup(k, 1)
	}
	return all
}

// noise is what all data is cut from.
var noise = func() []byte {
	b := make([]byte, 12*blockSize)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}()

// randomBytes returns n bytes that no one changes, other ones for another seed.
func randomBytes(seed uint64, n int) []byte {
	from := int(seed % blockSize)
	return noise[from : from+n : from+n]
}

// compute writes data in pieces whose lengths rng chooses.
func compute(t testing.TB, s *Stream, data []byte, longest int, rng *rand.Rand) {
	t.Helper()
	want := md5.Sum(data)
	for rest := data; len(rest) > 0; {
		n := min(1+rng.IntN(longest), len(rest))
		piece := bytes.Clone(rest[:n])
		s.Write(piece)
		clear(piece) // the caller's again
		rest = rest[n:]
	}
	got, err := s.Sum()
	if err != nil || got != want {
		t.Errorf("%d bytes: %x, %v, want %x", len(data), got, err, want)
	}
}

// TestShort has every length up to a few blocks, by one stream after the other and
// by eight at a time.
func TestShort(t *testing.T) {
	t.Parallel()
	for name, g := range groups() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, 2))
			for n := range 301 {
				s := g.Stream()
				compute(t, s, randomBytes(uint64(n), n), 100, rng)
				s.Close()
			}
			for n := 0; n < 300; n += Lanes {
				var all sync.WaitGroup
				for lane := range Lanes {
					all.Go(func() {
						s := g.Stream()
						defer s.Close()
						compute(t, s, randomBytes(uint64(n), n+lane), 100, rand.New(rand.NewPCG(3, uint64(lane))))
					})
				}
				all.Wait()
			}
		})
	}
}

// TestRounds hashes lanes of every number, and of lengths around the edges of MD5's
// blocks and ours, in one round, which is all that the group does by itself.
func TestRounds(t *testing.T) {
	t.Parallel()
	lengths := []int{0, 1, 55, 56, 63, 64, 65, 128, 1000, blockSize - 1, blockSize, blockSize + 1, depth * blockSize}
	for name, k := range kernels() {
		for used := 1; used <= Lanes; used++ {
			for shift := range lengths {
				var r round
				var data [Lanes][]byte
				r.n = used
				for i := range used {
					data[i] = randomBytes(uint64(i), lengths[(shift+i*i)%len(lengths)])
					r.lanes[i].hash = md5.New().(digest)
					r.lanes[i].rest = data[i]
				}
				r.hash(k)
				for i := range used {
					if want := md5.Sum(data[i]); r.lanes[i].err != nil || !bytes.Equal(r.lanes[i].hash.Sum(nil), want[:]) {
						t.Errorf("%s, lane %d of %d, %d bytes: wrong, %v", name, i, used, len(data[i]), r.lanes[i].err)
					}
				}
			}
		}
	}
}

// TestConcurrent has many streams of all lengths at a time, some of which are given
// up in their midst, and looks that nothing is left of them.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	for name, g := range groups() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all sync.WaitGroup
			for client := range 12 {
				all.Go(func() {
					rng := rand.New(rand.NewPCG(7, uint64(client)))
					for range 4 {
						s := g.Stream()
						data := randomBytes(rng.Uint64(), rng.IntN(9*blockSize))
						if rng.IntN(4) == 0 {
							s.Write(data)
						} else {
							compute(t, s, data, 1+rng.IntN(2*blockSize), rng)
						}
						s.Close()
					}
				})
			}
			all.Wait()
			expectEmpty(t, g)
		})
	}
}

// expectEmpty looks that a group without streams knows of none.
func expectEmpty(t *testing.T, g *Group) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open != 0 || len(g.ready) != 0 || g.queued != 0 || g.rounds != 0 {
		t.Errorf("%d streams, %d ready, %d blocks queued, %d rounds are left", g.open, len(g.ready), g.queued, g.rounds)
	}
}

// TestSlow lets many streams stop in their midst: what waits to be hashed for them
// has a bound, and they all end right.
func TestSlow(t *testing.T) {
	t.Parallel()
	g := newGroup(best(), 1)
	const clients = 100
	var streams [clients]*Stream
	data := randomBytes(1, 2*blockSize+1)
	for i := range streams {
		streams[i] = g.Stream()
		streams[i].Write(data)
		if g.queued >= most {
			t.Fatalf("%d blocks wait when %d streams have begun", g.queued, i+1)
		}
	}
	for _, s := range streams {
		if sum, err := s.Sum(); err != nil || sum != md5.Sum(data) {
			t.Errorf("%x, %v", sum, err)
		}
		s.Close()
	}
	expectEmpty(t, g)
}

// TestTogether looks that streams that write side by side are hashed side by side,
// and that one alone does not come to the vectors.
func TestTogether(t *testing.T) {
	t.Parallel()
	alone := func(state *vectors, lanes *[Lanes]*byte, blocks int) { t.Error("one stream is hashed by vectors") }
	g := newGroup(kernel{alone, 2}, 1)
	s := g.Stream()
	compute(t, s, randomBytes(1, 10*blockSize), blockSize, rand.New(rand.NewPCG(1, 1)))
	s.Close()
	k := best()
	if k.blocks == nil {
		return // no vectors to come to
	}
	together := 0
	g = newGroup(kernel{func(state *vectors, lanes *[Lanes]*byte, blocks int) {
		together += blocks
		k.blocks(state, lanes, blocks)
	}, k.worthwhile}, 1)
	var streams []*Stream
	for range 4 {
		streams = append(streams, g.Stream())
	}
	data := randomBytes(2, 11*blockSize)
	for rest := data; len(rest) > 0; rest = rest[blockSize:] {
		for _, s := range streams {
			s.Write(rest[:blockSize])
		}
	}
	for _, s := range streams {
		if sum, err := s.Sum(); err != nil || sum != md5.Sum(data) {
			t.Errorf("%x, %v", sum, err)
		}
		s.Close()
	}
	if most := len(data) / md5.BlockSize * 3 / 2; together == 0 || together > most {
		t.Errorf("%d blocks of vectors, want %d at most", together, most)
	}
}

// unlike is a hash whose state is not as expected.
type unlike struct{ digest }

func (unlike) AppendBinary(b []byte) ([]byte, error) { return append(b, "md6\x01"...), nil }

var errGone = errors.New("gone")

// failing is a hash that can not give, or take, its state.
type failing struct {
	digest
	take bool
}

func (f failing) AppendBinary(b []byte) ([]byte, error) {
	if f.take {
		return f.digest.AppendBinary(b)
	}
	return nil, errGone
}

func (failing) UnmarshalBinary([]byte) error { return errGone }

// TestState pins the layout of the state of crypto/md5, and has one that is another
// fail its own stream and no other.
func TestState(t *testing.T) {
	t.Parallel()
	h := md5.New().(digest)
	h.Write(randomBytes(1, 128))
	b, err := h.AppendBinary(nil)
	if err != nil || len(b) != stateSize || string(b[:stateWords]) != stateName || binary.BigEndian.Uint64(b[stateLength:]) != 128 {
		t.Fatalf("state %x, %v", b, err)
	}
	k := best()
	if k.blocks == nil {
		return // nobody asks for it
	}
	for _, tt := range []struct {
		hash digest
		want error
	}{{unlike{md5.New().(digest)}, errState}, {failing{digest: md5.New().(digest)}, errGone}, {failing{md5.New().(digest), true}, errGone}} {
		g := newGroup(k, 1)
		data := randomBytes(2, 2*blockSize)
		bad, good := g.Stream(), g.Stream()
		bad.hash = tt.hash
		bad.Write(data)
		good.Write(data)
		if sum, err := good.Sum(); err != nil || sum != md5.Sum(data) {
			t.Errorf("beside %T: %x, %v", tt.hash, sum, err)
		}
		bad.Write(data) // what comes later is alone, and as lost
		if _, err := bad.Sum(); !errors.Is(err, tt.want) {
			t.Errorf("%T: %v, want %v", tt.hash, err, tt.want)
		}
		bad.Close()
		good.Close()
	}
}

// TestReuse looks that nothing of a stream comes into the next that has its memory.
func TestReuse(t *testing.T) {
	t.Parallel()
	g := newGroup(kernel{}, 1)
	for n := range 50 {
		s := g.Stream()
		s.Write(randomBytes(uint64(n), n*1000))
		if n%2 == 0 {
			if sum, err := s.Sum(); err != nil || sum != md5.Sum(randomBytes(uint64(n), n*1000)) {
				t.Errorf("%d: %x, %v", n, sum, err)
			}
		}
		s.Close()
	}
}

func FuzzStreams(f *testing.F) {
	f.Add(uint64(1), 1000, 70_000, 300_000, 64)
	f.Add(uint64(2), 0, 1, 63, 1)
	f.Add(uint64(3), blockSize, blockSize, 4*blockSize, blockSize)
	g := newGroup(best(), 1)
	f.Fuzz(func(t *testing.T, seed uint64, a, b, c, longest int) {
		var all sync.WaitGroup
		for i, n := range []int{a, b, c} {
			n = max(n, 0) % (8 * blockSize)
			all.Go(func() {
				s := g.Stream()
				defer s.Close()
				compute(t, s, randomBytes(seed+uint64(i), n), max(longest, 64)%(2*blockSize)+1, rand.New(rand.NewPCG(seed, uint64(i))))
			})
		}
		all.Wait()
		expectEmpty(t, g)
	})
}

// BenchmarkStreams hashes 1 MiB by each of so many streams that take turns on one
// processor, beside crypto/md5.
func BenchmarkStreams(b *testing.B) {
	data := randomBytes(1, 1<<20)
	b.Run("crypto", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		h := md5.New()
		for b.Loop() {
			h.Write(data)
		}
	})
	all := kernels()
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range all {
			if !yield(name) {
				return
			}
		}
	})
	for _, name := range names {
		for _, n := range []int{1, 2, 4, 8, 16} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.SetBytes(int64(n * len(data)))
				b.ReportAllocs()
				g := newGroup(all[name], 1)
				streams := make([]*Stream, n)
				for b.Loop() {
					for i := range streams {
						streams[i] = g.Stream()
					}
					for at := 0; at < len(data); at += blockSize {
						for _, s := range streams {
							s.Write(data[at : at+blockSize])
						}
					}
					for _, s := range streams {
						if _, err := s.Sum(); err != nil {
							b.Fatal(err)
						}
						s.Close()
					}
				}
			})
		}
	}
	runtime.KeepAlive(data)
}

// TestEachIsWoken: a stream that was woken and has not run yet is not woken again in
// place of another that waits.
func TestEachIsWoken(t *testing.T) {
	t.Parallel()
	g := newGroup(kernel{}, 1)
	first, second := g.Stream(), g.Stream()
	g.mu.Lock()
	defer g.mu.Unlock()
	first.waiting, second.waiting = true, true
	g.ready = []*Stream{first, second}
	g.wakeOne()
	g.wakeOne()
	if first.waiting || second.waiting {
		t.Errorf("still waiting: the first %v, the second %v", first.waiting, second.waiting)
	}
}
