package master_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// keyOn returns a key with a prefix that the topology places on a volume.
func (s *store) keyOn(number meta.VolumeID, prefix string) string {
	s.t.Helper()
	for i := range 1000 {
		if k := fmt.Sprintf("%s%d", prefix, i); s.wanted(k) == number {
			return k
		}
	}
	s.t.Fatalf("no key is on volume %d", number)
	return ""
}

// partRow is the name of a part in places.
func (s *store) partRow(up meta.Upload, number int) string {
	return string(metadb.PartKey(up.UploadID, number))
}

func (s *store) drain(number meta.VolumeID) {
	s.t.Helper()
	if err := s.DrainVolume(context.Background(), number); err != nil {
		s.t.Fatal(err)
	}
}

// steps advances the rebalance by steps that must succeed.
func (s *store) steps(n int) {
	s.t.Helper()
	for range n {
		if _, err := s.RebalanceStep(context.Background()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestStepBetweenCommitAndSwitch: the rebalance wakes when a drain is recorded
// and not yet in force. It must not take the old layout's word that all is well.
func TestStepBetweenCommitAndSwitch(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(60)
	stepped := make(chan error, 1)
	began := false
	f := func() error {
		if began {
			return nil
		}
		began = true
		half := make(chan struct{})
		go func() {
			defer close(half)
			for range 4 {
				if _, err := s.RebalanceStep(context.Background()); err != nil {
					stepped <- err
					return
				}
			}
			stepped <- nil
		}()
		select {
		case <-half:
		case <-time.After(300 * time.Millisecond): // it waits for the change to end
		}
		return nil
	}
	s.db.after.Store(&f)
	s.drain(2)
	if err := <-stepped; err != nil {
		t.Fatal(err)
	}
	s.db.heal()
	s.rebalanced()
	s.wantAll(keys)
}

// TestDrainFollowsRows: an upload is completed, and a noncurrent version comes to
// be the current one, behind the cursor of the only pass. Nothing names their old
// places in the rows that the pass has yet to look at.
func TestDrainFollowsRows(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const number = 2
	var up meta.Upload
	for i := 0; ; i++ {
		up = s.createUpload(fmt.Sprintf("a-upload%d", i))
		s.putPart(up, 1, "part")
		if s.places()[s.partRow(up, 1)] == number {
			break
		}
	}
	s.versioning(meta.VersioningEnabled)
	promoted := s.keyOn(number, "a-version")
	s.put(promoted, "old")
	marker := s.tryRemove(promoted)[0]
	for i := range 6500 {
		if k := fmt.Sprintf("b%05d", i); s.wanted(k) != number {
			s.put(k, "")
		}
	}
	s.drain(number)
	s.steps(1) // the cursor is among the current versions
	if st := s.rebalance(); !st.Active || len(st.Cursor) == 0 || st.Pass != 1 {
		t.Fatalf("the first step has done too much or too little: %+v", st)
	}
	s.complete(up, 1)
	s.collect()
	s.removeVersions(promoted, marker.VersionID)
	s.rebalanced()
	s.wantBody(up.Key, "part")
	s.wantBody(promoted, "old")
	if n := len(s.volumes[number-1].ids(t)); n != 0 {
		t.Errorf("%d blobs are left on the volume", n)
	}
}

// TestCursorRowGone: the row in the middle of which a step has ended is removed;
// the next one is looked at from its beginning.
func TestCursorRowGone(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first, second := s.createUpload("u1"), s.createUpload("u2")
	for n := 1; n <= 400; n++ {
		s.putPart(first, n, "x")
		if n <= 40 {
			s.putPart(second, n, "y")
		}
	}
	s.drain(1)
	s.steps(1)
	if st := s.rebalance(); st.Moved == 0 || st.Moved > 60 {
		t.Fatalf("the first step has done too much or too little: %+v", st)
	}
	if err := s.AbortUpload(context.Background(), bucket, "u1", first.UploadID); err != nil {
		t.Fatal(err)
	}
	s.steps(1)
	for n := 1; n <= 40; n++ {
		if s.places()[s.partRow(second, n)] == 1 {
			t.Errorf("part %d was passed over", n)
		}
	}
	s.rebalanced()
}

// TestBigManifest: the parts of one chunk are moved in bounded steps, which may
// be longer the better it goes.
func TestBigManifest(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	up := s.createUpload("big")
	var want strings.Builder
	numbers := make([]int, 600)
	for i := range numbers {
		numbers[i] = i + 1
		body := fmt.Sprintf("%04d", i)
		want.WriteString(body)
		s.putPart(up, i+1, body)
	}
	s.complete(up, numbers...)
	s.collect()
	s.drain(3)
	most := uint64(60)
	for last := uint64(0); ; most *= 2 {
		s.steps(1)
		st := s.rebalance()
		if !st.Active {
			break
		}
		if st.Moved-last > most {
			t.Fatalf("one step has moved %d pieces", st.Moved-last)
		}
		last = st.Moved
	}
	s.wantBody("big", want.String())
}

// TestDownVolumeIsLeftAlone: while a volume is down the rebalance tries it now
// and then, and does not fill the garbage queue with what it could not make.
func TestDownVolumeIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(1500)
	s.drain(1)
	s.volumes[1].down.Store(true)
	s.volumes[2].down.Store(true)
	for range 60 {
		if _, err := s.RebalanceStep(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	st := s.rebalance()
	if st.Failed == 0 || st.Failed > 200 || st.LastError == "" || !st.Active {
		t.Errorf("with two volumes down: %+v", st)
	}
	s.volumes[1].down.Store(false)
	s.volumes[2].down.Store(false)
	s.clock.advance(10 * time.Minute)
	s.rebalanced()
	s.wantAll(keys)
}

// TestFailedBatchIsGivenUp: what a batch has made and could not record is given up
// before the next one, and not at the next start.
func TestFailedBatchIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(100)
	s.drain(1)
	before := s.blobs()
	s.db.fail(&s.db.before, 3, errors.New("no"))
	for range 3 {
		if _, err := s.RebalanceStep(context.Background()); err == nil {
			t.Fatal("the commit did not fail")
		}
	}
	if n := s.blobs(); n <= before || n > before+48 {
		t.Errorf("%d blobs, %d before", n, before)
	}
	s.db.heal()
	s.steps(1)
	s.clock.advance(master.DefaultGarbageGrace) // a volume may yet have been at it
	s.collect()
	if n := s.blobs(); n != before {
		t.Errorf("%d blobs, want %d", n, before)
	}
	s.rebalanced()
	s.wantAll(keys)
}

// TestWideStepFailsInPart: of the batches of one step some are recorded and some
// are not, whether the commit that failed took hold or not. Nothing is left over,
// and nothing is moved twice.
func TestWideStepFailsInPart(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(3000)
	s.drain(1)
	before := s.blobs()
	s.steps(3) // the next one has as many batches as there may be
	for _, at := range []*atomic.Pointer[func() error]{&s.db.before, &s.db.after} {
		s.db.fail(at, 5, errors.New("no")) // the fifth commit and all behind it
		if _, err := s.RebalanceStep(context.Background()); err == nil {
			t.Fatal("the commit did not fail")
		}
		s.db.heal()
		s.steps(3)
	}
	s.rebalanced()
	s.clock.advance(master.DefaultGarbageGrace)
	s.collect()
	if n := s.blobs(); n != before {
		t.Errorf("%d blobs, want %d", n, before)
	}
	s.wantAll(keys)
}

// TestSlowWriteDoesNotHoldUpMoves: a body that is being sent when a volume is
// added is placed by the topology before; all others move meanwhile.
func TestSlowWriteDoesNotHoldUpMoves(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(200)
	slow := s.keyOn(2, "slow")
	going, entered := make(chan struct{}), make(chan struct{})
	s.volumes[1].mu.Lock()
	s.volumes[1].onPut = func() { close(entered); <-going }
	s.volumes[1].mu.Unlock()
	done := make(chan error, 1)
	go func() {
		_, err := s.tryPut(slow, "slow", meta.Precondition{})
		done <- err
	}()
	<-entered
	s.volumes[1].mu.Lock()
	s.volumes[1].onPut = nil
	s.volumes[1].mu.Unlock()
	s.drain(2)
	for range 20 {
		s.steps(1)
	}
	if st := s.rebalance(); st.Moved == 0 || !st.Active {
		t.Errorf("while a write is under way: %+v", st)
	}
	close(going)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.rebalanced()
	s.wantBody(slow, "slow")
	s.wantAll(keys)
}

// TestShortPieceIsNotCopied: a blob that is not as long as its record says is
// damage, and its copy would be, too.
func TestShortPieceIsNotCopied(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := s.keyOn(1, "k")
	s.put(k, "four")
	v := s.volumes[0]
	id := v.ids(t)[0]
	if err := errors.Join(v.Blobs.Delete(context.Background(), []volume.BlobID{id}),
		v.Blobs.Put(context.Background(), id, 2, strings.NewReader("fo"), func() ([]byte, error) { return nil, nil })); err != nil {
		t.Fatal(err)
	}
	s.drain(1)
	s.rebalanced()
	if st := s.rebalance(); st.Moved != 0 {
		t.Errorf("%+v", st)
	}
	s.wantDamaged(k)
	if v := s.Topology().Volumes[0]; v.State != metadb.VolumeDraining {
		t.Errorf("the volume that holds what is left of it is %v", v.State)
	}
	// It leaves when nothing is left on it.
	s.remove(k)
	s.clock.advance(time.Hour)
	s.rebalanced()
	s.wantDamaged()
	if v := s.Topology().Volumes[0]; v.State != metadb.VolumeRemoved {
		t.Errorf("the volume that is empty is %v", v.State)
	}
}
