package journal

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

// TestSnapshotPrunes shows that a snapshot makes what came before it go away, on
// volumes that come back later, too.
func TestSnapshotPrunes(t *testing.T) {
	t.Parallel()
	s := newStore(t, 3, 2)
	s.write(3)
	s.steps()
	s.write(10)
	s.volumes[0].down.Store(true)
	s.PlacesChanged()
	s.write(10)
	if err := s.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.steps()
	s.write(2)
	s.recovered()
	if st := s.Status(); st.Entries != 2 || st.Snapshot.Seq != 24 {
		t.Errorf("%+v", st)
	}
	s.volumes[0].down.Store(false)
	s.Returned(1)
	s.steps()
	for _, v := range s.volumes {
		for _, info := range s.held(v.number) {
			kind, seq, _, _ := volume.ParseMetadataID(info.ID)
			if kind == volume.MetadataChunk && seq != 24 || kind == volume.MetadataEntry && seq <= 24 {
				t.Errorf("volume %d still holds %s", v.number, info.ID)
			}
		}
	}
	s.recovered()
}

// TestSnapshotFails spoils each put of a snapshot in turn, on both volumes: until it is
// whole, nothing of what was there before is given up.
func TestSnapshotFails(t *testing.T) {
	t.Parallel()
	s := newStore(t, 2, 2)
	s.write(3)
	s.steps()
	for i := range 30 { // several chunks
		if err := s.update(set(fmt.Sprintf("big %d", i), strings.Repeat(fmt.Sprint(i), 30_000))); err != nil {
			t.Fatal(err)
		}
	}
	for n := int64(1); ; n++ {
		for _, v := range s.volumes {
			v.puts.Store(0)
			v.failing(nil)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { // fails the n-th put, about
			for s.volumes[0].puts.Load() < n && ctx.Err() == nil {
				time.Sleep(20 * time.Microsecond)
			}
			if ctx.Err() == nil {
				for _, v := range s.volumes {
					v.failing(volume.ErrUnavailable)
				}
			}
		}()
		err := s.Snapshot(ctx)
		cancel()
		if err == nil {
			break
		}
		s.recoveredFromEach(1, 2)
		if st := s.Status(); st.Snapshot.Seq != 4 {
			t.Fatalf("%+v", st)
		}
		if n > 100 {
			t.Fatal(err)
		}
	}
	for _, v := range s.volumes {
		v.failing(nil)
	}
	s.steps()
	if c := s.recovered(); c.Snapshot.Chunks < 2 {
		t.Errorf("%d chunks", c.Snapshot.Chunks)
	}
	s.recoveredFromEach(1, 2)
}

// TestLeaves empties volumes one after the other: at no moment is the journal on fewer
// volumes than it should be, without those that leave.
func TestLeaves(t *testing.T) {
	t.Parallel()
	s := newStore(t, 4, 2)
	s.write(3)
	s.steps()
	s.write(20)
	for _, v := range s.volumes[:2] {
		v.leaves.Store(true)
		s.PlacesChanged()
		s.write(5)
		s.steps()
		s.write(5)
		if s.ReliesOn(v.number) {
			t.Errorf("volume %d is still needed: %+v", v.number, s.Status())
		}
		v.away.Store(true)
		s.PlacesChanged()
		s.recovered()
	}
	s.recoveredFromEach(3, 4)
}

// TestReliesOn shows that a volume with the only copies is needed.
func TestReliesOn(t *testing.T) {
	t.Parallel()
	s := newStore(t, 2, 1)
	s.write(3)
	if !s.ReliesOn(1) || !s.ReliesOn(2) {
		t.Error("before there is a snapshot")
	}
	s.steps()
	s.write(3)
	holder := meta.VolumeID(1)
	if len(s.held(1)) == 0 {
		holder = 2
	}
	if !s.ReliesOn(holder) || s.ReliesOn(3-holder) {
		t.Errorf("relies on 1: %v, on 2: %v; %d holds it", s.ReliesOn(1), s.ReliesOn(2), holder)
	}
}

// TestLost takes volumes away without notice: what they held is copied, and where
// nobody else holds it a new snapshot is made.
func TestLost(t *testing.T) {
	t.Parallel()
	for _, copies := range []int{1, 2} {
		s := newStore(t, 3, copies)
		s.write(3)
		s.steps()
		s.write(20)
		for i, v := range s.volumes[:2] {
			v.away.Store(true)
			s.PlacesChanged()
			s.write(1)
			s.steps()
			s.steps()
			s.recovered()
			if st := s.Status(); st.Snapshot.Copies != min(copies, 2-i) || st.Lacking != 0 {
				t.Errorf("%d copies, %d volumes lost: %+v", copies, i+1, st)
			}
		}
		s.recoveredFromEach(3)
	}
}

// TestDown counts a volume that is down as a holder for a while only.
func TestDown(t *testing.T) {
	t.Parallel()
	s := newStore(t, 3, 2)
	s.write(3)
	s.steps()
	s.write(20)
	gone := s.volumes[0]
	if len(s.held(1)) == 0 {
		gone = s.volumes[1]
	}
	at := s.clock()
	gone.since.Store(&at)
	gone.down.Store(true)
	s.steps()
	if n := s.Status().Snapshot.Copies; n != 2 {
		t.Errorf("%d copies, with one that is down for a moment", n)
	}
	before := len(s.held(1)) + len(s.held(2)) + len(s.held(3))
	s.advance(copyGrace + time.Second)
	s.steps()
	if st := s.Status(); st.Snapshot.Copies != 2 || st.Lacking != 0 || len(s.held(1))+len(s.held(2))+len(s.held(3)) == before {
		t.Errorf("%+v", st)
	}
	s.recovered()
}

// TestDamagedCopy mends what a volume can not read: from another, or by a snapshot.
func TestDamagedCopy(t *testing.T) {
	t.Parallel()
	for _, volumes := range []int{1, 2} {
		s := newStore(t, volumes, 2)
		s.write(3)
		s.steps()
		s.write(20)
		for _, kind := range []volume.MetadataKind{volume.MetadataEntry, volume.MetadataChunk} {
			id := volume.MetadataID(kind, 12, 0)
			if kind == volume.MetadataChunk {
				id = volume.MetadataID(kind, s.Status().Snapshot.Seq, 0)
			}
			if !s.volumes[0].Corrupt(id, 40) {
				t.Fatalf("%s is not there", id)
			}
			s.Damaged(1, id)
			s.steps()
			s.recoveredFromEach(1)
		}
		s.write(2)
		s.recoveredFromEach(1)
	}
}

// TestFull prefers volumes with room, and takes a full one before none.
func TestFull(t *testing.T) {
	t.Parallel()
	s := newStore(t, 3, 2)
	s.write(3)
	s.steps()
	s.volumes[0].full.Store(true)
	s.volumes[1].full.Store(true)
	puts := s.volumes[2].puts.Load()
	s.write(10)
	if n := s.volumes[2].puts.Load() - puts; n != 10 {
		t.Errorf("%d of 10 commits on the volume with room", n)
	}
	s.volumes[2].down.Store(true)
	s.write(10)
	s.recovered()
}

// TestZones puts the copies into zones of their own.
func TestZones(t *testing.T) {
	t.Parallel()
	s := newStore(t, 4, 2)
	for i, v := range s.volumes {
		v.zone = []string{"a", "a", "b", "b"}[i]
	}
	s.PlacesChanged()
	s.write(3)
	s.steps()
	s.write(20)
	for _, zone := range []string{"a", "b"} {
		var left []Source
		for i, v := range s.volumes {
			if v.zone != zone {
				left = append(left, s.sources()[i])
			}
		}
		s.recovered(left...)
	}
}

// TestSnapshotsWhenDue makes snapshots by itself as the journal grows.
func TestSnapshotsWhenDue(t *testing.T) {
	t.Parallel()
	s := newStore(t, 1, 1)
	s.write(1)
	s.steps()
	big := strings.Repeat("x", 60_000)
	for i := range 1200 { // 72 MB
		if err := s.update(set(fmt.Sprint("big ", i%20), big+fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-s.Woken():
	default:
		t.Error("the upkeep was not woken")
	}
	s.steps()
	if st := s.Status(); st.Entries != 0 || st.Snapshot.Seq != 1202 {
		t.Errorf("%+v", st)
	}
	s.recovered()
}

// TestHistory is a long random history of commits, starts, failures and upkeep: at the
// end of each chapter the volumes hold what the metadata does.
func TestHistory(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 7))
			s := newStore(t, 4, 2)
			for range 60 {
				v := s.volumes[rng.IntN(4)]
				switch rng.IntN(7) {
				case 0:
					s.start()
				case 1:
					if err := s.Snapshot(t.Context()); err != nil {
						t.Fatal(err)
					}
				case 2:
					others := slices.ContainsFunc(s.volumes, func(o *testVolume) bool { return o.down.Load() })
					if !others { // with two copies one may be down
						v.down.Store(true)
						s.PlacesChanged()
					}
				case 3:
					for _, v := range s.volumes {
						if v.down.Swap(false) {
							s.Returned(v.number)
						}
					}
				case 4:
					s.steps()
				default:
					s.write(rng.IntN(20))
				}
				if s.Status().Snapshot.Taken.IsZero() {
					continue
				}
				s.recovered()
			}
			for _, v := range s.volumes {
				if v.down.Swap(false) {
					s.Returned(v.number)
				}
			}
			s.steps()
			s.recovered()
			if st := s.Status(); st.Lacking != 0 || st.Why != "" || st.Snapshot.Copies < 2 {
				t.Errorf("%+v\n%s", st, &s.log)
			}
		})
	}
}
