package placement

import (
	"fmt"
	"slices"
	"testing"
)

// zonedTopologies are the topologies of the properties, and some with zones.
func zonedTopologies() map[string][]Slot {
	all := topologies()
	delete(all, "hundred") // others are as good, and quicker
	all["three zones"] = zoned(12, 3)
	all["four zones, holes"] = with(with(zoned(21, 4), Dead, 2, 12), Draining, 16, 5)
	mixed := zoned(9, 3)
	mixed[1].Zone, mixed[5].Zone = "", ""
	all["some without a zone"] = mixed
	heavy := zoned(12, 2)
	for i := range heavy {
		heavy[i].Volume = uint32(i%4 + 1)
	}
	all["weights in zones"] = heavy
	return all
}

// TestChooseWhereIsChooseWithoutTheOthers compares with a map on which the slots
// of the volumes that are not usable drain, for every volume, pairs of them, and
// every second.
func TestChooseWhereIsChooseWithoutTheOthers(t *testing.T) {
	t.Parallel()
	for name, slots := range zonedTopologies() {
		m := mapOf(t, slots)
		var sets [][]uint32
		for i := range m.members {
			one, other := m.members[i].volume, m.members[(i*7+3)%len(m.members)].volume
			sets = append(sets, []uint32{one}, []uint32{one, other})
		}
		var odd []uint32
		for i := 1; i < len(m.members); i += 2 {
			odd = append(odd, m.members[i].volume)
		}
		for _, out := range append(sets, odd, nil) {
			drained := slices.Clone(slots)
			for i, s := range drained {
				if s.State == Active && slices.Contains(out, s.Volume) {
					drained[i].State = Draining
				}
			}
			without := mapOf(t, drained)
			usable := func(v uint32) bool { return !slices.Contains(out, v) }
			for _, r := range []int{1, 2, 3, 6, m.Volumes() + 1} {
				for i := range 60 {
					got, want := m.ChooseWhere(keyOf(i), r, usable, nil), without.Choose(keyOf(i), r, nil)
					if !slices.Equal(got, want) {
						t.Fatalf("%s without %v, r=%d, key %d: %v, want %v", name, out, r, i, got, want)
					}
				}
			}
		}
	}
}

// TestChooseWhereKeepsWhatIsUsable: passing over a volume changes nothing but the
// copy that it would have had.
func TestChooseWhereKeepsWhatIsUsable(t *testing.T) {
	t.Parallel()
	for name, slots := range zonedTopologies() {
		m := mapOf(t, slots)
		for _, out := range m.members {
			for r := 1; r <= min(6, m.Volumes()-1); r++ {
				for i := range 60 {
					home := m.Choose(keyOf(i), r, nil)
					got := m.ChooseWhere(keyOf(i), r, func(v uint32) bool { return v != out.volume }, []int{-1})
					if got[0] != -1 || len(got) != r+1 {
						t.Fatalf("%s, r=%d, key %d: %v", name, r, i, got)
					}
					in := subtract(got[1:], home)
					onIt := slices.ContainsFunc(home, func(s int) bool { return m.Slot(s).Volume == out.volume })
					if want := map[bool]int{true: 1}[onIt]; len(in) != want {
						t.Fatalf("%s without volume %d, r=%d, key %d: %v, home is %v", name, out.volume, r, i, got[1:], home)
					}
				}
			}
		}
	}
}

func TestChooseWhereNothingIsUsable(t *testing.T) {
	t.Parallel()
	none := func(uint32) bool { return false }
	for _, slots := range [][]Slot{nil, slotsOf(1), slotsOf(100), zoned(6, 2)} {
		if got := mapOf(t, slots).ChooseWhere(keyOf(1), 3, none, nil); len(got) != 0 {
			t.Errorf("%d slots: chose %v", len(slots), got)
		}
	}
}

// BenchmarkChooseWhere passes over one volume and over half of them.
func BenchmarkChooseWhere(b *testing.B) {
	for _, n := range []int{10, 1000} {
		for name, usable := range map[string]func(uint32) bool{
			"one down":  func(v uint32) bool { return v != 7 },
			"half down": func(v uint32) bool { return v%2 == 0 },
		} {
			b.Run(fmt.Sprintf("n=%d/%s", n, name), func(b *testing.B) {
				m := mapOf(b, slotsOf(n))
				dst := make([]int, 0, 3)
				key := uint64(1)
				b.ReportAllocs()
				for b.Loop() {
					dst = m.ChooseWhere(key, 3, usable, dst[:0])
					key += golden
				}
			})
		}
	}
}

func TestChooseWhereDoesNotAllocate(t *testing.T) {
	m := mapOf(t, zoned(1000, 5))
	dst, down := make([]int, 0, 3), uint32(7)
	if n := testing.AllocsPerRun(100, func() {
		dst = m.ChooseWhere(PartHash("bucket", "some/key", 12), 3, func(v uint32) bool { return v != down }, dst[:0])
	}); n != 0 {
		t.Errorf("placing a key allocates %v times", n)
	}
}
