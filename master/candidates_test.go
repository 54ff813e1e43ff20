package master_test

import (
	"fmt"
	"slices"
	"testing"

	"tdkvs/master/meta"
	"tdkvs/placement"
)

// TestCandidates compares where data is written to while volumes are down with
// where it would be if these were gone.
func TestCandidates(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 5)
	s.open()
	t.Cleanup(s.check)
	takeDown := func(n int) {
		s.volumes[n-1].down.Store(true)
		s.Probe(bg)
	}
	each := func(fn func(home, got []meta.VolumeID, isHome bool, n int)) {
		t.Helper()
		for i := range 200 {
			for n := 1; n <= 6; n++ {
				hash := placement.KeyHash(bucket, fmt.Sprint(i))
				home, err1 := s.Place(hash, n)
				got, isHome, err2 := s.Candidates(hash, n)
				if err1 != nil || err2 != nil || len(got) != min(n, 5) {
					t.Fatalf("%v, %v, %v", got, err1, err2)
				}
				fn(home, got, isHome, n)
			}
		}
	}
	each(func(home, got []meta.VolumeID, isHome bool, n int) {
		if !slices.Equal(got, home) || isHome != (n <= 5) {
			t.Fatalf("all up: %v (home: %v), want %v", got, isHome, home)
		}
	})
	takeDown(2)
	takeDown(4)
	each(func(home, got []meta.VolumeID, isHome bool, n int) {
		moved := 0
		for i, v := range got {
			if home[i] != 2 && home[i] != 4 && v != home[i] {
				t.Fatalf("%v, home is %v: volume %d can take its piece", got, home, home[i])
			}
			if v != home[i] {
				moved++
			}
		}
		down := slices.ContainsFunc(home, func(v meta.VolumeID) bool { return v == 2 || v == 4 })
		if n <= 3 && (slices.Contains(got, 2) || slices.Contains(got, 4)) || isHome != (moved == 0 && n <= 5) || n <= 3 && isHome == down {
			t.Fatalf("%v (home: %v), home is %v", got, isHome, home)
		}
		if slices.Sort(got); len(slices.Compact(got)) != min(n, 5) {
			t.Fatalf("a volume is named twice: %v", got)
		}
	})
	for _, n := range []int{1, 3, 5} {
		takeDown(n)
	}
	each(func(home, got []meta.VolumeID, isHome bool, n int) {
		if !slices.Equal(got, home) {
			t.Fatalf("all down: %v, want %v", got, home)
		}
	})
}
