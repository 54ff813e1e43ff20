package volume_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

func compactAll(t testing.TB, s *volume.Store) (n int) {
	t.Helper()
	for {
		more, err := s.CompactNext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return n
		}
		n++
	}
}

func mustSeal(t testing.TB, s *volume.Store) {
	t.Helper()
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
}

func mustDelete(t testing.TB, s *volume.Store, numbers ...int) {
	t.Helper()
	var ids []volume.BlobID
	for _, n := range numbers {
		id, _ := blob(n, 0)
		ids = append(ids, id)
	}
	if err := s.Delete(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
}

func segmentNames(t testing.TB, disk *vfs.Mem) (names []string) {
	t.Helper()
	entries, err := disk.ReadDir(dir + "/segments")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".seg"))
	}
	return names
}

// TestCompactThreshold compacts a segment once more than the set share is dead,
// and keeps what lives in it.
func TestCompactThreshold(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	s := open(t, small(disk))
	for n := range 10 {
		mustPut2(t, s, n, 1000)
	}
	mustSeal(t, s)
	mustDelete(t, s, 0, 1, 2, 3)
	if n := compactAll(t, s); n != 0 {
		t.Errorf("compacted %d segments at 40 %% dead", n)
	}
	mustDelete(t, s, 4)
	dead := status(t, s).DeadBytes
	if dead < 5*1000 || dead > 5*1200 {
		t.Errorf("%d dead bytes, with 5 of 10 blobs of 1000 deleted", dead)
	}
	if n := compactAll(t, s); n != 1 {
		t.Errorf("compacted %d segments at 50 %% dead, want 1", n)
	}
	if got := fmt.Sprint(segmentNames(t, disk)); got != "[00000002]" {
		t.Errorf("segments left: %s", got)
	}
	if st := status(t, s); st.DeadBytes >= 1000 || st.Blobs != 5 {
		t.Errorf("after compaction: %d dead bytes, %d blobs", st.DeadBytes, st.Blobs)
	}
	for _, st := range []string{"open", "reopened"} {
		for n := range 10 {
			id, data := blob(n, 1000)
			if n < 5 {
				expectGone(t, s, id)
			} else {
				expect(t, s, id, data)
			}
		}
		checkStore(t, s)
		if st == "open" {
			closeStore(t, s)
			s = open(t, small(disk))
		}
	}
	closeStore(t, s)
}

func mustPut2(t testing.TB, s *volume.Store, number, size int) {
	t.Helper()
	id, data := blob(number, size)
	mustPut(t, s, id, data)
}

// TestTombstoneMovesAlong compacts the segment with a tombstone while the one
// with the deleted blob stays: the blob must not come back.
func TestTombstoneMovesAlong(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	s := open(t, small(disk))
	for n := range 10 {
		mustPut2(t, s, n, 1000)
	}
	mustSeal(t, s)
	mustDelete(t, s, 0) // of the first segment, which stays 90 % alive
	for n := range 5 {
		mustPut2(t, s, 20+n, 1000)
	}
	mustDelete(t, s, 20, 21, 22, 23, 24)
	mustSeal(t, s)
	mustPut2(t, s, 30, 10)
	if n := compactAll(t, s); n != 1 {
		t.Fatalf("compacted %d segments, want the second alone", n)
	}
	gone, _ := blob(0, 0)
	closeStore(t, s)
	s = open(t, small(disk))
	expectGone(t, s, gone)

	// Once the first segment goes, the tombstone can go, too.
	mustSeal(t, s)
	mustDelete(t, s, 1, 2, 3, 4, 5, 6, 7, 8, 9, 30)
	mustSeal(t, s)
	compactAll(t, s)
	closeStore(t, s)
	s = open(t, small(disk))
	compactAll(t, s)
	st := status(t, s)
	if st.Blobs != 0 || st.Bytes != 0 || len(segmentNames(t, disk)) > 0 {
		t.Errorf("all deleted and compacted: %d blobs, %d bytes, segments %v", st.Blobs, st.Bytes, segmentNames(t, disk))
	}
	closeStore(t, s)
}

// TestInterruptedCompaction stops compaction after it has copied records, so
// that a blob lies in two segments. Deleting it kills both, whatever is
// compacted when.
func TestInterruptedCompaction(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	faulty := vfs.NewFaulty(disk, vfs.Plan{})
	s := open(t, small(faulty))
	for n := range 10 {
		mustPut2(t, s, n, 1000)
	}
	mustSeal(t, s)
	mustDelete(t, s, 0, 1, 2, 3, 4)
	faulty.SetPlan(vfs.Plan{Rules: []vfs.Rule{{Op: vfs.OpRemove, Match: "*.seg", Fault: vfs.Fault{Err: errors.New("power off")}}}})
	if _, err := s.CompactNext(t.Context()); !errors.Is(err, volume.ErrReadOnly) {
		t.Fatalf("compaction: %v", err)
	}
	closeStore(t, s)

	cfg := small(disk)
	cfg.CompactRatio = 1 // not now
	s = open(t, cfg)
	mustSeal(t, s)
	mustDelete(t, s, 9) // its copy is deleted; the old record still lies in the first segment
	mustSeal(t, s)
	closeStore(t, s)
	s = open(t, small(disk))
	compactAll(t, s)
	for _, reopened := range []bool{false, true} {
		for n := range 10 {
			id, data := blob(n, 1000)
			if n < 5 || n == 9 {
				expectGone(t, s, id)
			} else {
				expect(t, s, id, data)
			}
		}
		checkStore(t, s)
		if !reopened {
			closeStore(t, s)
			s = open(t, small(disk))
		}
	}
	if names := segmentNames(t, disk); len(names) > 2 {
		t.Errorf("segments left: %v", names)
	}
	closeStore(t, s)
}

// TestDamagedSegmentStaysDead has compaction meet damage after it has copied
// blobs. Their old records stay in the damaged segment for good, so whatever is
// deleted later must stay dead through every further compaction and restart.
func TestDamagedSegmentStaysDead(t *testing.T) {
	t.Parallel()
	const blobs, size, hit = 70, 3000, 65
	for _, restarts := range []bool{false, true} {
		disk := vfs.NewMem()
		s := open(t, small(disk))
		restart := func() {
			if restarts {
				closeStore(t, s)
				s = open(t, small(disk))
			}
		}
		var odd, even []int
		for n := range blobs {
			mustPut2(t, s, n, size)
			if n%2 == 1 {
				odd = append(odd, n)
			} else {
				even = append(even, n)
			}
		}
		mustSeal(t, s)
		mustDelete(t, s, even...)
		_, hitData := blob(hit, size)
		edit(t, disk, segmentPath(segment1), func(b []byte) []byte {
			b[bytes.Index(b, hitData)+10] ^= 1
			return b
		})
		if _, err := s.CompactNext(t.Context()); !errors.Is(err, volume.ErrCorrupt) {
			t.Fatalf("compaction: %v, want ErrCorrupt", err)
		}
		mustSeal(t, s)
		restart()
		mustDelete(t, s, odd[:20]...) // copies, all of them
		mustSeal(t, s)
		for range 3 {
			restart()
			// A restart forgets that the segment is damaged until compaction
			// meets the damage again.
			if _, err := s.CompactNext(t.Context()); err != nil && !errors.Is(err, volume.ErrCorrupt) {
				t.Fatal(err)
			}
			compactAll(t, s)
			mustSeal(t, s)
		}
		closeStore(t, s)
		s = open(t, small(disk))
		for n := range blobs {
			id, data := blob(n, size)
			switch {
			case n%2 == 0 || n <= odd[19]:
				expectGone(t, s, id)
			case n != hit:
				expect(t, s, id, data)
			}
		}
		if _, err := disk.Stat(segmentPath(segment1)); err != nil {
			t.Errorf("the damaged segment is gone: %v", err)
		}
		closeStore(t, s)
	}
}

// TestRemovalsInOrder compacts a segment and then the one with its tombstones
// away. No power cut may undo the first removal and leave the second.
func TestRemovalsInOrder(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	rng := rand.New(rand.NewPCG(5, 5))
	var crashes []*vfs.Mem
	faulty := vfs.NewFaulty(disk, vfs.Plan{})
	s := open(t, small(faulty))
	for n := range 4 {
		mustPut2(t, s, n, 100)
	}
	mustSeal(t, s)
	mustDelete(t, s, 0, 1, 2, 3)
	mustSeal(t, s)
	faulty.SetPlan(vfs.Plan{Hook: func(vfs.Call) *vfs.Fault {
		for range 8 {
			crashes = append(crashes, disk.CrashCloneRand(rng))
		}
		return nil
	}})
	if n := compactAll(t, s); n != 2 {
		t.Fatalf("compacted %d segments, want 2", n)
	}
	mustPut2(t, s, 9, 10)
	closeStore(t, s)
	for i, crash := range crashes {
		s := open(t, small(crash))
		for n := range 4 {
			id, _ := blob(n, 0)
			expectGone(t, s, id)
		}
		closeStore(t, s)
		if t.Failed() {
			t.Fatalf("crash %d of %d", i, len(crashes))
		}
	}
}

// TestDeleteMeetsCopy deletes a blob in the very batch that would move it.
func TestDeleteMeetsCopy(t *testing.T) {
	t.Parallel()
	for _, copyFirst := range []bool{false, true} {
		disk := vfs.NewMem()
		s := open(t, small(disk))
		id, data := blob(1, 100)
		mustPut(t, s, id, data)
		mustSeal(t, s)
		if err := s.DeleteWithCopy(id, copyFirst); err != nil {
			t.Fatal(err)
		}
		expectGone(t, s, id)
		closeStore(t, s)
		s = open(t, small(disk))
		expectGone(t, s, id)
		checkStore(t, s)
		closeStore(t, s)
	}
}

// TestCompactStopsAtDamage keeps a segment with a record that can not be read.
func TestCompactStopsAtDamage(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	s := open(t, small(disk))
	for n := range 10 {
		mustPut2(t, s, n, 1000)
	}
	mustSeal(t, s)
	mustDelete(t, s, 0, 1, 2, 3, 4, 5)
	hit, hitData := blob(8, 1000)
	edit(t, disk, segmentPath(segment1), func(b []byte) []byte {
		b[bytes.Index(b, hitData)+10] ^= 1
		return b
	})
	if _, err := s.CompactNext(t.Context()); !errors.Is(err, volume.ErrCorrupt) {
		t.Fatalf("compaction: %v, want ErrCorrupt", err)
	}
	if n := compactAll(t, s); n != 0 {
		t.Errorf("the damaged segment was compacted")
	}
	if st := status(t, s); st.Quarantined != 1 {
		t.Errorf("%d quarantined, want 1", st.Quarantined)
	}
	for _, reopened := range []bool{false, true} {
		for n := 6; n < 10; n++ {
			id, data := blob(n, 1000)
			if id != hit {
				expect(t, s, id, data)
			} else if _, err := get(t.Context(), s, id); !errors.Is(err, volume.ErrCorrupt) {
				t.Errorf("damaged blob: %v, want ErrCorrupt", err)
			}
		}
		if !reopened {
			closeStore(t, s)
			s = open(t, small(disk))
		}
	}
	if _, err := disk.Stat(segmentPath(segment1)); err != nil {
		t.Errorf("the damaged segment is gone: %v", err)
	}
	// Deleting the bad blob is no repair of the segment, but nothing comes back.
	mustDelete(t, s, 6, 7, 8, 9)
	mustSeal(t, s)
	compactAll(t, s)
	closeStore(t, s)
	s = open(t, small(disk))
	if st := status(t, s); st.Blobs != 0 {
		t.Errorf("%d blobs came back", st.Blobs)
	}
	closeStore(t, s)
}

// TestCompactUnderReaders compacts without a pause while blobs are read, put
// and deleted.
func TestCompactUnderReaders(t *testing.T) {
	t.Parallel()
	cfg := small(vfs.NewMem())
	cfg.CompactRatio = 0.05
	s := open(t, cfg)
	const blobs, rounds = 60, 20
	stop := make(chan struct{})
	var work, background sync.WaitGroup
	background.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := s.Seal(); err != nil {
				t.Error(err)
				return
			}
			if _, err := s.CompactNext(t.Context()); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for n := range blobs {
		mustPut2(t, s, n, 500+n)
	}
	for range 4 {
		work.Go(func() {
			rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
			for range rounds * blobs {
				readRandom(t, s, rng.IntN(blobs), rng)
			}
		})
	}
	work.Go(func() {
		for n := 1000; n < 1000+rounds*blobs/2; n++ {
			mustPut2(t, s, n, 700)
			mustDelete(t, s, n)
		}
	})
	work.Wait()
	close(stop)
	background.Wait()
	compactAll(t, s)
	checkStore(t, s)
	closeStore(t, s)
	s = open(t, cfg)
	for n := range blobs {
		id, data := blob(n, 500+n)
		expect(t, s, id, data)
	}
	if st := status(t, s); st.Blobs != blobs {
		t.Errorf("%d blobs, want %d", st.Blobs, blobs)
	}
	closeStore(t, s)
}

func readRandom(t *testing.T, s *volume.Store, number int, rng *rand.Rand) {
	id, data := blob(number, 500+number)
	from := rng.IntN(len(data))
	r, err := s.Get(t.Context(), id, int64(from), -1)
	if err != nil {
		t.Errorf("get: %v", err)
		return
	}
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, data[from:]) {
		t.Errorf("read: %d bytes, %v", len(got), err)
	}
	if err := s.Verify(t.Context(), id); err != nil {
		t.Error(err)
	}
}
