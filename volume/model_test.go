package volume_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// modelSeeds is how many random histories TestModel lives through;
// TDKVS_MODEL_SEEDS in the environment sets another number.
const modelSeeds = 10

// TestModel compares a store with a map over long random histories of puts,
// reads, deletions, seals, compactions, restarts and power cuts.
func TestModel(t *testing.T) {
	t.Parallel()
	seeds := modelSeeds
	if n, err := strconv.Atoi(os.Getenv("TDKVS_MODEL_SEEDS")); err == nil {
		seeds = n
	}
	for seed := range seeds {
		m := &model{rng: rand.New(rand.NewPCG(uint64(seed), 11)), disk: vfs.NewMem(), want: map[int][]byte{}}
		m.open(t)
		for step := range 300 {
			m.step(t)
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
		}
		m.check(t)
		closeStore(t, m.s)
	}
}

// model is a store and what should be in it, by blob number. Numbers are never
// used twice.
type model struct {
	rng  *rand.Rand
	disk *vfs.Mem
	s    *volume.Store
	want map[int][]byte
	next int
}

func (m *model) open(t *testing.T) {
	t.Helper()
	cfg := small(m.disk)
	cfg.CompactRatio = 0.2
	m.s = open(t, cfg)
}

func (m *model) step(t *testing.T) {
	t.Helper()
	switch n := m.rng.IntN(100); {
	case n < 45:
		sizes := []int{0, 1, 64, 500, 4095, 4096, 4097, 30_000, volume.BlockSize + 9}
		id, data := blob(m.next, sizes[m.rng.IntN(len(sizes))])
		mustPut(t, m.s, id, data)
		m.want[m.next] = data
		m.next++
	case n < 65 && m.next > 0:
		m.delete(t)
	case n < 80 && m.next > 0:
		m.read(t, m.rng.IntN(m.next))
	case n < 86:
		mustSeal(t, m.s)
	case n < 92:
		if _, err := m.s.CompactNext(t.Context()); err != nil {
			t.Fatal(err)
		}
	case n < 94:
		if err := m.s.MarkIdle(); err != nil {
			t.Fatal(err)
		}
	case n < 96:
		closeStore(t, m.s)
		m.open(t)
		m.check(t)
	case n < 98: // a power cut while nothing is under way loses nothing
		m.disk = m.disk.CrashClone()
		m.open(t)
		m.check(t)
	default:
		m.disk = m.disk.CrashCloneRand(m.rng)
		m.open(t)
		m.check(t)
	}
}

func (m *model) delete(t *testing.T) {
	t.Helper()
	var numbers []int
	for range 1 + m.rng.IntN(5) {
		n := m.rng.IntN(m.next)
		numbers = append(numbers, n)
		delete(m.want, n)
	}
	mustDelete(t, m.s, numbers...)
}

func (m *model) read(t *testing.T, number int) {
	t.Helper()
	id, _ := blob(number, 0)
	want, there := m.want[number]
	got, err := get(t.Context(), m.s, id)
	switch {
	case !there && !errors.Is(err, volume.ErrNotFound):
		t.Errorf("blob %d, deleted: %v", number, err)
	case there && (err != nil || !bytes.Equal(got, want)):
		t.Errorf("blob %d of %d bytes: %d, %v", number, len(want), len(got), err)
	}
}

func (m *model) check(t *testing.T) {
	t.Helper()
	for n := range m.next {
		m.read(t, n)
	}
	checkStore(t, m.s)
	if st := status(t, m.s); st.Blobs != int64(len(m.want)) {
		t.Errorf("%d blobs, want %d", st.Blobs, len(m.want))
	}
}
