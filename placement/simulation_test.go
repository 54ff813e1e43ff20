package placement

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
)

const simulatedVolumes = 1000

// TestSimulation places keys on 1,000 volumes and holds what comes out against what paper says: how evenly they lie, and how
// many pieces move when a volume comes or goes, gets a second slot, or a whole zone is lost. No piece moves but those that
// have to. TDKVS_SIMULATED_KEYS is the number of keys (default 100,000; the figures in docs/performance.md are those of
// 100,000,000).
func TestSimulation(t *testing.T) {
	t.Parallel()
	keys := 100000
	if text := os.Getenv("TDKVS_SIMULATED_KEYS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1000 {
			t.Fatalf("TDKVS_SIMULATED_KEYS=%s: want a number, 1000 or more", text)
		}
		keys = n
	}
	for _, s := range []simulation{{copies: 1}, {copies: 3}, {copies: 3, zones: 10}, {copies: 3, zones: 3}} {
		t.Run(s.String(), func(t *testing.T) { s.run(t, keys) })
	}
}

// simulation is a cluster of volumes of one slot each, in zones by turns.
type simulation struct{ copies, zones int }

func (s simulation) String() string {
	if s.zones == 0 {
		return fmt.Sprintf("%d copies", s.copies)
	}
	return fmt.Sprintf("%d copies in %d zones", s.copies, s.zones)
}

// slots are those of the cluster.
func (s simulation) slots() []Slot {
	if s.zones == 0 {
		return slotsOf(simulatedVolumes)
	}
	return zoned(simulatedVolumes, s.zones)
}

// change is what happens to the cluster, and what paper says of it.
type change struct {
	name  string
	slots []Slot
	into  uint32  // the only volume that pieces move to; 0: those of volumes that are gone move
	share float64 // of the keys that are expected to have a piece moved
	exact bool    // every key has one: there is no spread
}

// changes are those that are simulated. The shares hold where the zones are of one size; those of 3 zones differ by a third of
// a percent.
func (s simulation) changes() []change {
	base, n, r := s.slots(), float64(simulatedVolumes), float64(s.copies)
	fresh, zone := uint32(simulatedVolumes+1), base[0].Zone
	if s.zones > 0 {
		zone = base[s.zones-1].Zone
	}
	all := []change{
		{name: "a volume comes", slots: append(slices.Clone(base), Slot{Volume: fresh, Zone: zone}), into: fresh, share: s.shareOfNew()},
		{name: "a volume goes", slots: with(base, Dead, simulatedVolumes/2), share: s.share(simulatedVolumes / 2)},
	}
	if s.zones == 0 {
		without := 1.0 // the probability that a volume with two slots has no copy
		for i := range s.copies {
			without *= 1 - 2/(n+1-float64(i))
		}
		all = append(all, change{name: "a volume gets a second slot", slots: append(slices.Clone(base), Slot{Volume: 7}), into: 7, share: 1 - without - r/n})
		return all
	}
	lost := slices.Clone(base)
	for i := range lost {
		if lost[i].Zone == base[0].Zone {
			lost[i].State = Dead
		}
	}
	return append(all, change{name: "a zone is lost", slots: lost, share: r / float64(s.zones), exact: s.copies == s.zones})
}

// share is the part of the keys that has a copy on a volume. With as many zones as copies each zone has one of every key.
func (s simulation) share(slot int) float64 {
	if s.zones != s.copies {
		return float64(s.copies) / simulatedVolumes
	}
	inZone := 0
	for i := slot % s.zones; i < simulatedVolumes; i += s.zones {
		inZone++
	}
	return 1 / float64(inZone)
}

// shareOfNew is that of a volume that joins the last zone.
func (s simulation) shareOfNew() float64 {
	if s.zones != s.copies {
		return s.shareOfNewIn(simulatedVolumes / max(s.zones, 1))
	}
	return 1 / (1/s.share(s.zones-1) + 1)
}

// shareOfNewIn is that of a volume that joins a zone which has a number of volumes.
func (s simulation) shareOfNewIn(size int) float64 {
	if s.zones == 0 {
		return float64(s.copies) / (simulatedVolumes + 1)
	}
	// The zone is drawn in one of three draws among zones, in proportion to their slots; the zones drawn before are out.
	own, other := float64(size+1), float64(size)
	missed, left := 1.0, own+other*float64(s.zones-1)
	for range s.copies {
		missed *= 1 - own/left
		left -= other
	}
	return (1 - missed) / own
}

// tally counts what one worker sees.
type tally struct {
	held  []int // pieces of each volume, by slot
	moved []int // keys with a piece moved, by change
	extra []int // pieces that moved without need, by change
}

func (s simulation) run(t *testing.T, keys int) {
	changes := s.changes()
	before := mapOf(t, s.slots())
	after := make([]*Map, len(changes))
	for i, c := range changes {
		after[i] = mapOf(t, c.slots)
	}
	workers := runtime.GOMAXPROCS(0)
	tallies := make([]tally, workers)
	var wg sync.WaitGroup
	for w := range tallies {
		wg.Go(func() {
			y := tally{held: make([]int, simulatedVolumes), moved: make([]int, len(changes)), extra: make([]int, len(changes))}
			old, now := make([]int, 0, s.copies), make([]int, 0, s.copies)
			for key := w; key < keys; key += workers {
				old = before.Choose(keyOf(key), s.copies, old[:0])
				for _, slot := range old {
					y.held[slot]++
				}
				for i, m := range after {
					now = m.Choose(keyOf(key), s.copies, now[:0])
					y.compare(i, changes[i], m, old, now)
				}
			}
			tallies[w] = y
		})
	}
	wg.Wait()
	sum := tallies[0]
	for _, y := range tallies[1:] {
		add(sum.held, y.held)
		add(sum.moved, y.moved)
		add(sum.extra, y.extra)
	}
	s.judgeBalance(t, keys, sum.held)
	for i, c := range changes {
		s.judgeMoves(t, keys, c, sum.moved[i], sum.extra[i])
	}
}

func add(to, from []int) {
	for i := range to {
		to[i] += from[i]
	}
}

// compare counts the pieces of a key that a change moves. A slot of a volume that had another of its slots chosen is no move.
func (y *tally) compare(i int, c change, m *Map, old, now []int) {
	moved := 0
	for _, slot := range now {
		volume := m.slots[slot].Volume
		if slices.ContainsFunc(old, func(o int) bool { return m.slots[o].Volume == volume }) {
			continue
		}
		moved++
		if c.into != 0 && volume != c.into {
			y.extra[i]++
		}
	}
	if c.into == 0 {
		for _, slot := range old {
			if m.slots[slot].State != Active {
				moved--
			}
		}
		y.extra[i] += moved
		if moved == 0 && slices.ContainsFunc(old, func(o int) bool { return m.slots[o].State != Active }) {
			y.moved[i]++
		}
		return
	}
	y.moved[i] += moved
}

// judgeBalance compares the volumes with binomial distributions of the same means: a piece of a key is on a volume or not.
func (s simulation) judgeBalance(t *testing.T, keys int, held []int) {
	t.Helper()
	most, least, squares, relative, spread := -math.MaxFloat64, math.MaxFloat64, 0.0, 0.0, 0.0
	fullest, mean := 0, float64(keys*s.copies)/simulatedVolumes
	for slot, n := range held {
		p := s.share(slot)
		sd := math.Sqrt(float64(keys) * p * (1 - p))
		z := (float64(n) - float64(keys)*p) / sd
		most, least, squares = max(most, z), min(least, z), squares+z*z
		relative += (float64(n)/mean - 1) * (float64(n)/mean - 1)
		spread += (sd / mean) * (sd / mean)
		fullest = max(fullest, n)
	}
	observed, expected := math.Sqrt(relative/simulatedVolumes), math.Sqrt(spread/simulatedVolumes)
	t.Logf("%d keys: %.0f pieces on a volume; the fullest has %.3f %% more; standard deviation %.3f %% (on paper %.3f %%); "+
		"extremes %+.2f and %+.2f of it (on paper 3.24)", keys, mean, 100*(float64(fullest)/mean-1), 100*observed, 100*expected, least, most)
	if limit := chi2Limit(simulatedVolumes); squares > limit {
		t.Errorf("chi-square %.0f over %.0f", squares, limit)
	}
	if math.Max(most, -least) > 6 {
		t.Errorf("a volume is %.1f to %.1f standard deviations off", least, most)
	}
}

func (s simulation) judgeMoves(t *testing.T, keys int, c change, moved, extra int) {
	t.Helper()
	want := float64(keys) * c.share
	sd := math.Sqrt(want * (1 - c.share))
	if c.exact {
		sd = 0
	}
	t.Logf("%s: %d pieces move, %.4f %% of all (on paper %.0f, give or take %.0f), and %d that need not", c.name, moved,
		100*float64(moved)/float64(keys*s.copies), want, sd, extra)
	if extra != 0 {
		t.Errorf("%s: %d pieces move that need not", c.name, extra)
	}
	if math.Abs(float64(moved)-want) > 6*sd+0.5 {
		t.Errorf("%s: %d pieces move, want %.0f, give or take %.0f", c.name, moved, want, sd)
	}
}
