package master_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

var readSeed = flag.Uint64("read.seed", 0, "run the model test of reads with this seed alone")

// modelBody is an object and how many of its pieces may be lost.
type modelBody struct {
	key    string
	body   string
	pieces [][]meta.Piece // of each extent
	spare  int            // pieces of an extent that it can do without
}

// Random ranges of random objects, with faults of random volumes at random places:
// what can be read is right, and as long as enough of each extent is sound all of it
// can be. A failure names its seed, which -read.seed repeats.
func TestReadModel(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, 2, 3, uint64(time.Now().UnixNano())}
	if *readSeed != 0 {
		seeds = []uint64{*readSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 9))
			s := newReadStore(t, 7, 1+int(seed%3))
			objects := s.modelBodies(rng, 1+int(seed%3))
			for range 300 {
				s.readModel(rng, objects[rng.IntN(len(objects))])
			}
		})
	}
}

func (s *store) modelBodies(rng *rand.Rand, replicas int) []modelBody {
	var all []modelBody
	add := func(o meta.Object, body string, spare int) {
		m := modelBody{key: o.Key, body: body, spare: spare}
		at, err := s.Locate(bg, bucket, o.Key, "")
		if err != nil {
			s.t.Fatal(err)
		}
		for _, x := range at.Extents {
			m.pieces = append(m.pieces, x.Pieces)
		}
		all = append(all, m)
	}
	for i := range 4 {
		body := randomBody(1 + rng.IntN(3*stripe42))
		add(s.putClass(fmt.Sprint("copies", i), body, ""), body, replicas-1)
		body = randomBody(1 + rng.IntN(3*stripe42))
		add(s.putClass(fmt.Sprint("shards", i), body, "COLD"), body, code42.Parity)
		parts := splitBody(body, 1+rng.IntN(stripe42), rng.IntN(stripe42), len(body))
		add(s.assemble(fmt.Sprint("parts", i), parts), body, replicas-1)
	}
	return all
}

// readModel reads a range while some volumes fail.
func (s *store) readModel(rng *rand.Rand, m modelBody) {
	s.t.Helper()
	failing := map[*testVolume]string{}
	for range rng.IntN(4) {
		v, f := s.volumes[rng.IntN(len(s.volumes))], readFaults[rng.IntN(len(readFaults))]
		v.failGets(f.at(rng.Int64N(int64(stripe42))))
		failing[v] = f.name
	}
	sound := true
	for _, pieces := range m.pieces {
		bad := 0
		for _, p := range pieces {
			if !p.Missing() && failing[s.at(p)] != "" {
				bad++
			}
		}
		sound = sound && bad <= m.spare
	}
	offset := rng.Int64N(int64(len(m.body)))
	length := 1 + rng.Int64N(int64(len(m.body))-offset)
	if rng.IntN(3) == 0 {
		length = min(length, 1+rng.Int64N(volume.BlockSize))
	}
	ctx, cancel := s.patient(sound)
	got, err := s.readRange(ctx, m.key, offset, length, rng.IntN(2) == 0)
	cancel()
	want := m.body[offset : offset+length]
	switch {
	case len(got) > len(want), string(got) != want[:len(got)]:
		s.t.Fatalf("%s, %d bytes from %d, failing %v: %d wrong bytes", m.key, length, offset, names(failing), len(got))
	case err == nil && len(got) != len(want):
		s.t.Fatalf("%s, %d bytes from %d, failing %v: %d bytes without an error", m.key, length, offset, names(failing), len(got))
	case sound && err != nil:
		s.t.Fatalf("%s, %d bytes from %d, failing %v: %v", m.key, length, offset, names(failing), err)
	case err != nil && meta.KindOf(err) == meta.KindInternal:
		s.t.Fatalf("%s: an error of no kind: %v", m.key, errors.Unwrap(err))
	}
	for v := range failing {
		v.healGets()
	}
}

func names(failing map[*testVolume]string) map[string]string {
	all := map[string]string{}
	for v, how := range failing {
		all[v.name] = how
	}
	return all
}
