package placement

import (
	"fmt"
	"testing"
)

func BenchmarkChoose(b *testing.B) {
	half := slotsOf(1000)
	for i := range half {
		if i%2 == 1 {
			half[i].State = Dead
		}
	}
	for _, bc := range []struct {
		name  string
		slots []Slot
		r     int
	}{{"n=1000/r=1", slotsOf(1000), 1}, {"n=1000/r=3", slotsOf(1000), 3}, {"n=1000/r=14", slotsOf(1000), 14}, {"n=1000/half dead/r=3", half, 3}} {
		b.Run(bc.name, func(b *testing.B) {
			m := mapOf(b, bc.slots)
			dst := make([]int, 0, bc.r)
			key := uint64(1)
			b.ReportAllocs()
			for b.Loop() {
				dst = m.Choose(key, bc.r, dst[:0])
				key += golden
			}
		})
	}
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
