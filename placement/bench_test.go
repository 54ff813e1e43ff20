package placement

import (
	"fmt"
	"testing"
)

// BenchmarkChoose places one key after another: plain slots, one in ten dead, half dead, and slots in zones.
func BenchmarkChoose(b *testing.B) {
	kinds := []struct {
		name  string
		slots func(n int) []Slot
	}{
		{"plain", slotsOf},
		{"a tenth dead", func(n int) []Slot { return everyDead(n, 10) }},
		{"half dead", func(n int) []Slot { return everyDead(n, 2) }},
		{"3 zones", func(n int) []Slot { return zoned(n, 3) }},
		{"10 zones", func(n int) []Slot { return zoned(n, 10) }},
	}
	for _, kind := range kinds {
		for _, n := range []int{10, 100, 1000} {
			for _, r := range []int{1, 3, 6} {
				b.Run(fmt.Sprintf("%s/n=%d/r=%d", kind.name, n, r), func(b *testing.B) { benchmarkChoose(b, kind.slots(n), r) })
			}
		}
	}
}

func benchmarkChoose(b *testing.B, slots []Slot, r int) {
	m := mapOf(b, slots)
	dst := make([]int, 0, r)
	key := uint64(1)
	b.ReportAllocs()
	for b.Loop() {
		dst = m.Choose(key, r, dst[:0])
		key += golden
	}
}

// everyDead has every k-th of n slots dead.
func everyDead(n, k int) []Slot {
	slots := slotsOf(n)
	for i := k - 1; i < n; i += k {
		slots[i].State = Dead
	}
	return slots
}

func BenchmarkKeyHash(b *testing.B) {
	key := fmt.Sprintf("%050d", 7)
	b.ReportAllocs()
	for b.Loop() {
		PartHash("bucket", key, 17)
	}
}

// TestChooseDoesNotAllocate keeps the hot path of every request free of garbage.
func TestChooseDoesNotAllocate(t *testing.T) {
	m := mapOf(t, with(slotsOf(1000), Dead, 1, 2, 3))
	dst := make([]int, 0, 3)
	if n := testing.AllocsPerRun(1000, func() {
		dst = m.Choose(PartHash("bucket", "some/key", 12), 3, dst[:0])
	}); n != 0 {
		t.Errorf("placing a key allocates %v times", n)
	}
}
