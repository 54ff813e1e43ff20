package master_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// newCopiesStore returns a store that keeps copies on some of its volumes.
func newCopiesStore(t testing.TB, volumes, replicas int) *store {
	t.Helper()
	s := newBareStore(t, volumes)
	s.open()
	s.createBucket(bucket)
	t.Cleanup(s.check)
	s.replicas(replicas)
	return s
}

func (s *store) replicas(n int) {
	s.t.Helper()
	if err := s.SetReplicas(context.Background(), "", n); err != nil {
		s.t.Fatal(err)
	}
	s.rebalanced()
}

func (s *store) lose(number meta.VolumeID) {
	s.t.Helper()
	if err := s.LoseVolume(context.Background(), number); err != nil {
		s.t.Fatal(err)
	}
}

// wantDamaged wants just these keys on the list of what is damaged.
func (s *store) wantDamaged(keys ...string) {
	s.t.Helper()
	list, err := s.ListDamage(context.Background(), nil, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for _, x := range list {
		if x.Bucket != bucket || x.Cause == "" || x.Found.IsZero() {
			s.t.Errorf("damage %+v", x)
		}
		got = append(got, x.Key)
	}
	slices.Sort(keys)
	if !slices.Equal(got, keys) {
		s.t.Errorf("damaged: %q, want %q", got, keys)
	}
}

// wantSettled wants every object to lie where it should, with all its pieces, and
// each of these to be good.
func (s *store) wantSettled(keys []string) {
	s.t.Helper()
	for _, k := range keys {
		at, err := s.Locate(context.Background(), bucket, k, "")
		if err != nil {
			s.t.Fatal(err)
		}
		for _, x := range at.Extents {
			if !x.Settled() {
				s.t.Errorf("%q is on %v, want %v", k, x.Pieces, x.Volumes)
			}
			for _, p := range x.Pieces {
				if err := s.topologyVolume(p.Volume).Verify(context.Background(), volume.BlobID(p.Blob)); err != nil {
					s.t.Errorf("%q: %v", k, err)
				}
			}
		}
	}
}

// suspect queues the repair of an object's pieces on a volume, as a read that has
// failed does.
func (s *store) suspect(key string, number meta.VolumeID) {
	s.t.Helper()
	for _, p := range s.extent(key).Pieces {
		if p.Volume == number {
			s.queueRepair(metadb.Repair{Bucket: bucket, Key: key, Suspects: []meta.Piece{p}, Queued: s.clock.now()})
		}
	}
}

func (s *store) queueRepair(r metadb.Repair) {
	s.t.Helper()
	row, err := metadb.MarshalRepair(&r)
	if err != nil {
		s.t.Fatal(err)
	}
	var id [8]byte
	_, _ = rand.Read(id[:])
	if err := s.db.DB.Update(context.Background(), func(tx metadb.Tx) error {
		return tx.Set(metadb.RepairKey(s.clock.now(), id), row)
	}); err != nil {
		s.t.Fatal(err)
	}
}

// add takes a volume into the store.
func (s *store) add(v *testVolume) {
	s.t.Helper()
	s.volumes = append(s.volumes, v)
	if _, err := s.AddVolume(context.Background(), master.NewVolume{Volume: master.Volume{Name: v.name, Blobs: v}}); err != nil {
		s.t.Fatal(err)
	}
}

// TestReplicasChange: copies are made and dropped as the number that is wanted
// changes.
func TestReplicasChange(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(120)
	for _, n := range []int{3, 2, 3, 1, 2} {
		s.replicas(n)
		s.wantSettled(keys)
		s.wantAll(keys)
		s.clock.advance(time.Hour)
		s.collect()
		if got := s.blobs(); got != n*len(keys) {
			t.Errorf("%d replicas: %d blobs of %d objects", n, got, len(keys))
		}
	}
	if err := s.SetReplicas(context.Background(), bucket, 3); err != nil {
		t.Fatal(err)
	}
	s.rebalanced()
	s.wantSettled(keys)
	if n := len(s.extent(keys[0]).Pieces); n != 3 {
		t.Errorf("%d copies in a bucket that wants 3", n)
	}
}

// TestLoweredReplicasKeepWhatCanBeRead: a copy is given up for others only once
// these have been read.
func TestLoweredReplicasKeepWhatCanBeRead(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 3)
	keys := s.fillKeys(40)
	s.rebalanced()
	for _, k := range keys {
		x := s.extent(k)
		want := s.wanted(k)
		for i, p := range x.Pieces {
			if p.Volume == want && i%2 == 0 || p.Volume != want && i%2 == 1 && len(k)%2 == 0 {
				s.topologyVolume(p.Volume).mem.Corrupt(volume.BlobID(p.Blob), 0)
			}
		}
	}
	s.replicas(1)
	s.wantAll(keys)
	s.wantSettled(keys)
	s.wantDamaged()
}

// TestLoseVolume: what a lost volume held is made anew from the other copies.
func TestLoseVolume(t *testing.T) {
	t.Parallel()
	for _, replicas := range []int{2, 3} {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			t.Parallel()
			s := newCopiesStore(t, 4, replicas)
			keys := s.fillKeys(150)
			s.rebalanced()
			before := s.rebalance()
			held := len(s.volumes[1].ids(t))
			gone := s.volumes[1]
			gone.down.Store(true)
			s.lose(2)
			s.wantAll(keys)
			s.rebalanced()
			s.wantSettled(keys)
			s.wantAll(keys)
			s.wantDamaged()
			st := s.rebalance()
			if st.Repaired-before.Repaired != uint64(held) || st.Short != 0 {
				t.Errorf("%d pieces were lost, %d made anew, %d short", held, st.Repaired-before.Repaired, st.Short)
			}
			s.volumes = slices.Delete(slices.Clone(s.volumes), 1, 2)
			s.open() // it need not be listed
			s.wantAll(keys)
		})
	}
}

// TestLostForGood: what had its only copy on a lost volume is listed, and nothing
// else is touched.
func TestLostForGood(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(150)
	var gone, left []string
	before := map[string]meta.Extent{}
	for _, k := range keys {
		before[k] = s.extent(k)
		if before[k].Pieces[0].Volume == 2 {
			gone = append(gone, k)
		} else {
			left = append(left, k)
		}
	}
	lost := s.volumes[1]
	s.lose(2)
	s.rebalanced()
	s.wantDamaged(gone...)
	s.wantAll(left)
	for _, k := range keys {
		if x := s.extent(k); !slices.Equal(x.Pieces, before[k].Pieces) {
			t.Errorf("%q was at %v and is at %v", k, before[k].Pieces, x.Pieces)
		}
	}
	if st := s.rebalance(); st.Moved != 0 {
		t.Errorf("%+v", st)
	}
	// What is deleted or replaced leaves the list.
	s.remove(gone[0])
	s.put(gone[1], "body of "+gone[1])
	s.clock.advance(2 * time.Hour)
	s.rebalanced()
	s.wantDamaged(gone[2:]...)
	s.volumes = slices.DeleteFunc(slices.Clone(s.volumes), func(v *testVolume) bool { return v == lost })
}

// TestDrainWithCopies: a volume leaves although its own copies can not be read.
func TestDrainWithCopies(t *testing.T) {
	t.Parallel()
	for _, replicas := range []int{2, 3} {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			t.Parallel()
			s := newCopiesStore(t, 5, replicas)
			keys := s.fillKeys(100)
			s.rebalanced()
			for _, id := range s.volumes[2].ids(t) {
				s.volumes[2].mem.Corrupt(id, 0)
			}
			s.drain(3)
			s.rebalanced()
			if v := s.Topology().Volumes[2]; v.State != metadb.VolumeRemoved {
				t.Errorf("volume 3 is %v", v.State)
			}
			if n := len(s.volumes[2].ids(t)); n != 0 {
				t.Errorf("%d blobs are left on it", n)
			}
			s.wantSettled(keys)
			s.wantAll(keys)
			s.wantDamaged()
		})
	}
}

// TestShortOfVolumes: with fewer volumes than copies are wanted, what there is is
// kept, the work ends, and says so.
func TestShortOfVolumes(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 3)
	keys := s.fillKeys(60)
	s.rebalanced()
	s.lose(1)
	s.rebalanced()
	if st := s.rebalance(); st.Short != 60 || st.Active {
		t.Errorf("%+v", st)
	}
	s.wantAll(keys)
	s.volumes = s.volumes[1:]
	v := newTestVolume("/disk9")
	s.add(v)
	s.rebalanced()
	if st := s.rebalance(); st.Short != 0 {
		t.Errorf("%+v", st)
	}
	s.wantSettled(keys)
}

// TestBitFlipIsRepaired: a piece that somebody has found to be bad is made anew
// from another, and nothing else is touched or looked at.
func TestBitFlipIsRepaired(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 4, 3)
	keys := s.fillKeys(80)
	s.rebalanced()
	before := s.rebalance()
	flipped := 0
	for i, k := range keys[:30] {
		p := s.extent(k).Pieces[i%3]
		s.topologyVolume(p.Volume).mem.Corrupt(volume.BlobID(p.Blob), int64(i%8))
		s.suspect(k, p.Volume)
		s.suspect(k, p.Volume) // and so does another
		s.suspect(keys[i+30], p.Volume)
		flipped++
	}
	s.queueRepair(metadb.Repair{Bucket: bucket, Key: "gone"})
	s.queueRepair(metadb.Repair{Bucket: "gone", Key: "gone"})
	s.rebalanced()
	s.wantSettled(keys)
	if n := s.count('q'); n != 0 {
		t.Errorf("%d entries are left in the queue", n)
	}
	st := s.rebalance()
	if st.Repaired-before.Repaired != uint64(flipped) || st.Scanned != before.Scanned || st.Pass != before.Pass {
		t.Errorf("%d pieces were bad: %+v, before %+v", flipped, st, before)
	}
}

// TestWipedVolume: the blobs of a volume are gone, its identity is not.
func TestWipedVolume(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 2)
	keys := s.fillKeys(60)
	s.rebalanced()
	if err := s.volumes[0].Blobs.Delete(context.Background(), s.volumes[0].ids(t)); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		s.suspect(k, 1)
	}
	s.rebalanced()
	s.wantSettled(keys)
	s.wantAll(keys)
}

// TestOnlyCopyIsBad: what can not be restored is listed, stays as it is, and
// leaves the list when it can be read again.
func TestOnlyCopyIsBad(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fillKeys(10)
	x := s.extent("key-0003")
	p := x.Pieces[0]
	v := s.topologyVolume(p.Volume)
	v.mem.Corrupt(volume.BlobID(p.Blob), 0)
	s.suspect("key-0003", p.Volume)
	s.rebalanced()
	s.wantDamaged("key-0003")
	if got := s.extent("key-0003"); !slices.Equal(got.Pieces, x.Pieces) {
		t.Errorf("its record has changed: %v", got)
	}
	s.clock.advance(2 * time.Hour)
	s.rebalanced()
	s.wantDamaged("key-0003")
	v.mem.Corrupt(volume.BlobID(p.Blob), 0) // and back
	s.clock.advance(2 * time.Hour)
	s.rebalanced()
	s.wantDamaged()
	s.wantBody("key-0003", "body of key-0003")
}

// TestRepairWaitsForItsVolume: what was written while a volume was down comes
// home once it is back, and nothing else is copied.
func TestRepairWaitsForItsVolume(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 4, 2)
	keys := s.fillKeys(60)
	s.rebalanced()
	p := s.extent(keys[0]).Pieces[1]
	v := s.topologyVolume(p.Volume)
	v.mem.Corrupt(volume.BlobID(p.Blob), 0)
	s.suspect(keys[0], p.Volume)
	v.down.Store(true)
	before := s.rebalance()
	for range 5 {
		s.steps(1)
		s.clock.advance(time.Second)
	}
	if n := s.count('q'); n != 1 {
		t.Errorf("%d entries in the queue while the volume is down", n)
	}
	v.down.Store(false)
	s.clock.advance(10 * time.Minute)
	s.rebalanced()
	if st := s.rebalance(); st.Moved != before.Moved+1 || s.count('q') != 0 {
		t.Errorf("%+v, before %+v", st, before)
	}
	s.wantSettled(keys)
}

// TestLostVolumeIsTakenBack: a volume that was given up by mistake comes back with
// what it holds, but for what was made anew, replaced or deleted meanwhile.
func TestLostVolumeIsTakenBack(t *testing.T) {
	t.Parallel()
	for _, replicas := range []int{1, 2} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(replicas, restart), func(t *testing.T) {
				t.Parallel()
				s := newCopiesStore(t, 3, replicas)
				s.versioning(meta.VersioningEnabled)
				keys := s.fillKeys(60)
				for _, k := range keys[:20] {
					s.put(k, "body of "+k)
				}
				up := s.createUpload("open")
				for n := 1; n <= 6; n++ {
					s.putPart(up, n, "part")
				}
				s.rebalanced()
				lost := s.volumes[1]
				lost.down.Store(true)
				s.lose(2)
				s.rebalanced()
				s.wantRefused("of a volume that is down", func(ctx context.Context) error { return s.CancelDrain(ctx, 2) })
				s.remove(keys[30])
				lost.down.Store(false)
				back := func(ctx context.Context) error { return s.CancelDrain(ctx, 2) }
				if restart {
					s.volumes = slices.Delete(slices.Clone(s.volumes), 1, 2)
					s.open()
					s.wantRefused("of which nobody knows where it is", back)
					s.volumes = slices.Insert(s.volumes, 1, lost)
					back = func(ctx context.Context) error {
						_, err := s.AddVolume(ctx, master.NewVolume{Volume: master.Volume{Name: lost.name, Blobs: lost}})
						return err
					}
				}
				held := len(lost.ids(t))
				if err := back(context.Background()); err != nil {
					t.Fatal(err)
				}
				named := s.namedOn(2)
				if st := s.lookOver(); st.Left != 0 || st.Found != uint64(held-named) || replicas > 1 && st.Found == 0 {
					t.Errorf("%d of %d blobs are named: %+v", named, held, st)
				}
				s.rebalanced()
				s.wantDamaged()
				left := slices.Delete(slices.Clone(keys), 30, 31)
				s.wantAll(left)
				s.wantSettled(left)
				s.open()
			})
		}
	}
}
