package master_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// corruptOn flips a bit of every blob on a volume, and returns the keys among
// those given that lie there.
func (s *store) corruptOn(number meta.VolumeID, keys []string) []string {
	s.t.Helper()
	v := s.volumeOf(number)
	for _, id := range v.ids(s.t) {
		v.mem.Corrupt(id, 0)
	}
	return slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return s.extent(k).Pieces[0].Volume != number })
}

func (s *store) wantStuck(want ...metadb.Stuck) {
	s.t.Helper()
	if got := s.rebalance(); got.Active || !slices.Equal(got.Stuck, want) {
		s.t.Errorf("stuck: %+v (active: %v), want %+v", got.Stuck, got.Active, want)
	}
}

func (s *store) wantStates(want ...metadb.VolumeState) {
	s.t.Helper()
	var got []metadb.VolumeState
	for _, v := range s.Topology().Volumes {
		got = append(got, v.State)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("volumes are %v, want %v", got, want)
	}
}

// TestStuckDrain: a volume that holds what can not be read stays, and says what
// that is; another leaves meanwhile. It leaves once that is gone.
func TestStuckDrain(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 4)
	s.open()
	s.createBucket(bucket)
	t.Cleanup(s.check)
	keys := s.fillKeys(120)
	up := s.createUpload("open")
	for n := 1; n <= 12; n++ {
		s.putPart(up, n, "part")
	}
	parts := uint64(0)
	for k, at := range s.places() {
		if k[0] == 'p' && at == 2 {
			parts++
		}
	}
	lost := s.corruptOn(2, keys)
	s.drain(2)
	s.drain(3)
	s.steps(2)
	s.open() // what a pass has found is known behind a restart
	s.rebalanced()
	if parts == 0 || len(lost) == 0 {
		t.Fatalf("%d parts, %d objects", parts, len(lost))
	}
	s.wantStuck(metadb.Stuck{Volume: 2, Damaged: uint64(len(lost)), Parts: parts})
	s.wantStates(metadb.VolumeActive, metadb.VolumeDraining, metadb.VolumeRemoved, metadb.VolumeActive)
	s.wantDamaged(lost...)
	if log := s.log.String(); !strings.Contains(log, "can not be emptied") {
		t.Errorf("the log does not say so:\n%s", log)
	}

	// It is left alone until it is asked for again.
	was := s.rebalance()
	s.rebalanced()
	if now := s.rebalance(); now.Finished != was.Finished {
		t.Errorf("looked again at %v", now.Finished)
	}
	s.clock.advance(time.Second)
	s.drain(2)
	if now := s.rebalance(); !now.Active || !slices.Equal(now.Stuck, was.Stuck) {
		t.Errorf("asked again: %+v", now)
	}
	s.rebalanced()
	s.wantStuck(was.Stuck...)

	if err := s.AbortUpload(bg, bucket, "open", up.UploadID); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(time.Hour)
	s.collect()
	s.drain(2)
	s.rebalanced()
	s.wantStuck(metadb.Stuck{Volume: 2, Damaged: uint64(len(lost))})
	s.remove(lost...)
	s.clock.advance(11 * time.Minute) // nobody asks
	s.rebalanced()
	s.wantStuck()
	s.wantStates(metadb.VolumeActive, metadb.VolumeRemoved, metadb.VolumeRemoved, metadb.VolumeActive)
	s.volumes = []*testVolume{s.volumes[0], s.volumes[3]}
}

// TestStuckForVolumes: what would have too few volumes stays.
func TestStuckForVolumes(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 4, 3)
	keys := s.fillKeys(40)
	s.rebalanced()
	on := uint64(0)
	for _, k := range keys {
		if slices.ContainsFunc(s.extent(k).Pieces, func(p meta.Piece) bool { return p.Volume == 4 }) {
			on++
		}
	}
	s.drain(4)
	s.lose(1) // and with it the last volume to go to
	s.rebalanced()
	st := s.rebalance()
	if len(st.Stuck) != 1 || st.Stuck[0] != (metadb.Stuck{Volume: 4, Short: on}) || st.Short != uint64(len(keys)) {
		t.Errorf("%+v", st)
	}
	s.wantAll(keys)
	s.volumes = s.volumes[1:]
	s.add(newTestVolume("/disk9"))
	s.rebalanced()
	s.wantStuck()
	s.wantSettled(keys)
	s.wantStates(metadb.VolumeLost, metadb.VolumeActive, metadb.VolumeActive, metadb.VolumeRemoved, metadb.VolumeActive)
	s.volumes = slices.DeleteFunc(s.volumes, func(v *testVolume) bool { return v.name == "/disk4" })
}

// TestCancelledDrainIsNotStuck: what was found under another topology is
// forgotten.
func TestCancelledDrainIsNotStuck(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	lost := s.corruptOn(2, s.fillKeys(30))
	s.drain(2)
	s.rebalanced()
	s.wantStuck(metadb.Stuck{Volume: 2, Damaged: uint64(len(lost))})
	if err := s.CancelDrain(bg, 2); err != nil {
		t.Fatal(err)
	}
	s.rebalanced()
	s.wantStuck()
}

// TestRebalanceStatusTells: what waits, and until when.
func TestRebalanceStatusTells(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 2)
	keys := s.fillKeys(30)
	s.rebalanced()
	s.volumes[1].down.Store(true)
	s.suspect(keys[0], s.extent(keys[0]).Pieces[0].Volume)
	if err := s.StartRebalance(bg); err != nil {
		t.Fatal(err)
	}
	if err := s.SetReplicas(bg, "", 3); err != nil {
		t.Fatal(err)
	}
	var retry time.Time
	for range 20 {
		_, _ = s.RebalanceStep(bg) // failures are meant
		st, err := s.RebalanceStatus(bg)
		if err != nil {
			t.Fatal(err)
		}
		if retry = st.Retry; !retry.IsZero() {
			break
		}
	}
	if left := retry.Sub(s.clock.now()); left <= 0 || left > time.Minute {
		t.Errorf("it goes on in %v", left)
	}
	s.clock.advance(2 * time.Minute)
	if st, err := s.RebalanceStatus(bg); err != nil || !st.Retry.IsZero() {
		t.Errorf("%+v, %v", st, err)
	}
	s.volumes[1].down.Store(false)
	for i := range 3 {
		s.queueRepair(metadb.Repair{Bucket: bucket, Key: fmt.Sprint("gone", i)})
	}
	if st, err := s.RebalanceStatus(bg); err != nil || st.Repairs < 3 {
		t.Errorf("%+v, %v", st, err)
	}
	s.rebalanced()
	p := s.extent(keys[1]).Pieces[1]
	s.topologyVolume(p.Volume).mem.Corrupt(volume.BlobID(p.Blob), 0)
	s.suspect(keys[1], p.Volume)
	before := s.rebalance().Repaired
	s.rebalanced()
	if st, err := s.RebalanceStatus(bg); err != nil || st.Repairs != 0 || st.Repaired != before+1 {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestPausedRebalanceRepairs: a pause holds up what moves, and nothing that was
// found to be damaged.
func TestPausedRebalanceRepairs(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 2)
	keys := s.fillKeys(30)
	s.rebalanced()
	yes, no := true, false
	if err := s.ChangeRebalance(bg, master.RebalanceChange{Paused: &yes}); err != nil {
		t.Fatal(err)
	}
	s.grow(1, "")
	before := s.rebalance()
	p := s.extent(keys[1]).Pieces[1]
	s.topologyVolume(p.Volume).mem.Corrupt(volume.BlobID(p.Blob), 0)
	s.suspect(keys[1], p.Volume)
	s.steps(6)
	if st := s.rebalance(); st.Repaired != before.Repaired+1 || !st.Active || st.Scanned != 0 || st.Pass != 1 {
		t.Errorf("paused: %+v", st)
	}
	if err := s.ChangeRebalance(bg, master.RebalanceChange{Paused: &no}); err != nil {
		t.Fatal(err)
	}
	s.rebalanced()
	s.wantSettled(keys)
}
