package master_test

import (
	"errors"
	"testing"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

// TestQuorumOfFewVolumes: what is acknowledged lies on a majority of the copies
// that there should be, also where fewer volumes than copies are left.
func TestQuorumOfFewVolumes(t *testing.T) {
	t.Parallel()
	s := newCopies(t, 3, 3)
	for lost := 1; lost <= 2; lost++ {
		s.volumes[lost].down.Store(true)
		if err := s.LoseVolume(bg, meta.VolumeID(lost+1)); err != nil {
			t.Fatal(err)
		}
		o, err := s.putSized(bg, "k", "body", true)
		switch {
		case lost == 1 && err != nil:
			t.Fatal(err)
		case lost == 1 && len(o.Extents[0].Pieces) != 2:
			t.Errorf("pieces %v, want 2", o.Extents[0].Pieces)
		case lost == 2 && !errors.Is(err, volume.ErrUnavailable):
			t.Errorf("one of three copies can be made: %v, want unavailable", err)
		}
	}
}
