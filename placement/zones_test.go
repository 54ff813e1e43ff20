package placement

import (
	"fmt"
	"slices"
	"testing"
)

// zoned spreads n slots, a volume each, over zones by turns.
func zoned(n, zones int) []Slot {
	slots := slotsOf(n)
	for i := range slots {
		slots[i].Zone = fmt.Sprintf("z%d", i%zones)
	}
	return slots
}

func zonesOf(m *Map, chosen []int) map[string]int {
	count := map[string]int{}
	for _, i := range chosen {
		count[m.Slot(i).Zone]++
	}
	return count
}

func TestCopiesSpreadOverZones(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ slots, zones, r, most int }{
		{12, 3, 3, 1}, {12, 4, 3, 1}, {12, 3, 2, 1}, {12, 3, 4, 2}, {12, 3, 9, 0}, {3, 3, 3, 1}, {5, 1, 3, 3}, {100, 2, 3, 2},
	} {
		m := mapOf(t, zoned(tt.slots, tt.zones))
		if m.Zones() != min(tt.slots, tt.zones) {
			t.Errorf("%+v: %d zones", tt, m.Zones())
		}
		for i := range 3000 {
			chosen := m.Choose(keyOf(i), tt.r, nil)
			count := zonesOf(m, chosen)
			if len(chosen) != tt.r || len(count) != min(tt.r, tt.zones) {
				t.Fatalf("%+v: key %d is on %v, in zones %v", tt, i, chosen, count)
			}
			for zone, n := range count {
				if tt.most > 0 && n > tt.most {
					t.Fatalf("%+v: key %d has %d copies in %s", tt, i, n, zone)
				}
			}
			if slices.Sort(chosen); len(slices.Compact(chosen)) != tt.r {
				t.Fatalf("%+v: key %d is twice on a slot", tt, i)
			}
		}
	}
}

// TestZonesChangeNothingWhereUnnamed: a zone that only one volume is in is no
// restriction.
func TestZonesChangeNothingWhereUnnamed(t *testing.T) {
	t.Parallel()
	plain, named := mapOf(t, slotsOf(20)), mapOf(t, zoned(20, 20))
	mixed := slotsOf(20)
	mixed[3].Zone, mixed[4].Zone = "a", "b"
	some := mapOf(t, mixed)
	for i := range 5000 {
		want := plain.Choose(keyOf(i), 3, nil)
		if got := named.Choose(keyOf(i), 3, nil); !slices.Equal(got, want) {
			t.Fatalf("key %d: %v with zones, %v without", i, got, want)
		}
		if got := some.Choose(keyOf(i), 3, nil); !slices.Equal(got, want) {
			t.Fatalf("key %d: %v with some zones, %v without", i, got, want)
		}
	}
}

// TestZonesKeepMovesSmall: with as many zones as copies, a slot that comes takes
// one copy of a key at most, and one that goes gives up its own.
func TestZonesKeepMovesSmall(t *testing.T) {
	t.Parallel()
	for _, zones := range []int{3, 4, 7} {
		before := zoned(21, zones)
		m := mapOf(t, before)
		for name, after := range map[string][]Slot{
			"appended":       append(slices.Clone(before), Slot{Volume: 99, Zone: "z0"}),
			"in a new zone":  append(slices.Clone(before), Slot{Volume: 99, Zone: "new"}),
			"drained":        with(before, Draining, 5),
			"dead":           with(before, Dead, 20),
			"without a zone": append(slices.Clone(before), Slot{Volume: 99}),
		} {
			n := mapOf(t, after)
			moved := 0
			for i := range 5000 {
				was, is := m.Choose(keyOf(i), 3, nil), n.Choose(keyOf(i), 3, nil)
				gone := slices.DeleteFunc(slices.Clone(was), func(s int) bool { return slices.Contains(is, s) })
				come := slices.DeleteFunc(slices.Clone(is), func(s int) bool { return slices.Contains(was, s) })
				if len(gone) > 1 || len(come) != len(gone) {
					t.Fatalf("%d zones, %s: key %d moves from %v to %v", zones, name, i, was, is)
				}
				if len(come) == 1 {
					moved++
					if grown := len(after) > len(before); grown && come[0] != 21 || !grown && after[gone[0]].State == Active {
						t.Fatalf("%d zones, %s: key %d moves from %v to %v for nothing", zones, name, i, was, is)
					}
				}
			}
			if moved == 0 {
				t.Errorf("%d zones, %s: nothing moved", zones, name)
			}
		}
	}
}

func TestZoneOfAVolumeIsOne(t *testing.T) {
	t.Parallel()
	if _, err := New([]Slot{{Volume: 1, Zone: "a"}, {Volume: 1, Zone: "b"}}); err == nil {
		t.Error("a volume is in two zones")
	}
	if _, err := New([]Slot{{Volume: 1, Zone: "a"}, {Volume: 1, Zone: "b", State: Dead}}); err != nil {
		t.Error(err)
	}
}
