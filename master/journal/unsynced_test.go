package journal

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"tdkvs/volume"
)

// unsynced is what a volume of this process holds that a power cut takes back.
type unsynced struct {
	local bool // it is one of this process
	mu    sync.Mutex
	ids   []volume.BlobID
	n     int // puts of it
}

func (u *unsynced) synced() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ids = nil
}

func (v *testVolume) putUnsynced() func(id volume.BlobID, payload, desc []byte) bool {
	if !v.local {
		return nil
	}
	return func(id volume.BlobID, payload, desc []byte) bool {
		if v.down.Load() || v.fail.Load() != nil {
			return false
		}
		err := v.Mem.Put(context.Background(), id, int64(len(payload)), bytes.NewReader(payload), func() ([]byte, error) { return desc, nil })
		v.mu.Lock()
		defer v.mu.Unlock()
		if err == nil {
			v.ids = append(v.ids, id)
			v.n++
		}
		return err == nil
	}
}

// powerCut takes back what is unsynced, but for the first n.
func (v *testVolume) powerCut(t *testing.T, n int) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.Delete(t.Context(), v.ids[n:]); err != nil {
		t.Fatal(err)
	}
	v.ids = nil
}

// newLocal is a store of one volume, of this process.
func newLocal(t *testing.T) *store {
	t.Helper()
	s := newStore(t, 1, 1)
	s.volumes[0].local = true
	s.start()
	return s
}

// TestUnsynced: where one copy is kept on a volume of this process, commits wait for no
// sync of it; with two copies, or on a volume elsewhere, they do.
func TestUnsynced(t *testing.T) {
	t.Parallel()
	s := newLocal(t)
	s.write(5)
	s.steps()
	s.write(5)
	s.recovered()
	if n := s.volumes[0].n; n != 10 {
		t.Errorf("%d of 10 commits were put unsynced", n)
	}
	s.volumes[0].failing(volume.ErrNoSpace)
	if err := s.update(set("x", "1")); err == nil {
		t.Error("a commit that no volume takes was acknowledged")
	}
	s.volumes[0].failing(nil)
	s.settled()
	s.start()
	s.recovered()

	alone := newStore(t, 1, 2) // there can be one copy only
	alone.volumes[0].local = true
	alone.start()
	alone.write(5)
	if n := alone.volumes[0].n; n != 5 {
		t.Errorf("%d of 5 commits were put unsynced where there is one volume", n)
	}

	two := newStore(t, 2, 2)
	two.volumes[0].local, two.volumes[1].local = true, true
	two.start()
	two.write(5)
	if n := two.volumes[0].n + two.volumes[1].n; n > 0 {
		t.Errorf("%d of the commits of two copies each were put unsynced", n)
	}
}

// TestUnsyncedPowerCut takes unsynced commits back, as many as may be, which the metadata
// itself has: the journal is whole again after the start.
func TestUnsyncedPowerCut(t *testing.T) {
	t.Parallel()
	for lost := range 7 {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			t.Parallel()
			for _, snapshot := range []bool{false, true} {
				s := newLocal(t)
				if snapshot {
					s.write(3)
					s.steps()
				}
				s.write(6)
				s.volumes[0].powerCut(t, 6-lost)
				s.start()
				s.write(2)
				s.steps()
				s.recovered()
				s.write(2)
				s.recovered()
				if st := s.Status(); st.Lacking != 0 || st.Why != "" || st.Snapshot.Copies != 1 {
					t.Errorf("%+v\n%s", st, &s.log)
				}
			}
		})
	}
}

// TestUnsyncedHistory is a long random history of commits, power cuts, starts and upkeep.
func TestUnsyncedHistory(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 8))
			s := newLocal(t)
			whole := false
			for range 80 {
				switch rng.IntN(6) {
				case 0:
					s.start()
				case 1:
					s.volumes[0].powerCut(t, rng.IntN(len(s.volumes[0].ids)+1))
					s.start()
					whole = false
				case 2:
					s.steps()
					whole = true
				case 3:
					if err := s.Snapshot(t.Context()); err != nil {
						t.Fatal(err)
					}
				default:
					s.write(rng.IntN(20))
				}
				if whole {
					s.recovered()
				}
			}
			s.steps()
			s.recovered()
		})
	}
}
