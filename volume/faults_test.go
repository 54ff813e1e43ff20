package volume_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// TestFailedSyncIsFinal checks the whole course of a failed sync: the waiting
// writers are told, later ones too, reads go on, and nothing is synced again.
func TestFailedSyncIsFinal(t *testing.T) {
	t.Parallel()
	for _, fault := range []vfs.Fault{
		{Err: syscall.EIO}, {Err: syscall.EIO, Persist: true},
		{Err: syscall.EIO, Keep: func(int64) bool { return false }}, // the pages are taken for clean
	} {
		mem := vfs.NewMem()
		faulty := vfs.NewFaulty(mem, vfs.Plan{})
		var l logs
		cfg := small(faulty)
		cfg.Logger = l.logger()
		s := open(t, cfg)
		kept, data := blob(1, 300)
		mustPut(t, s, kept, data)

		faulty.SetPlan(vfs.Plan{Rules: []vfs.Rule{{Op: vfs.OpSync, Match: "*.seg", Fault: fault}}})
		lost, lostData := blob(2, 4000) // ends in another page: recovery writes to the last one anyway
		if err := put(t.Context(), s, lost, lostData); !errors.Is(err, volume.ErrReadOnly) || !errors.Is(err, syscall.EIO) {
			t.Fatalf("put: %v, want ErrReadOnly with its cause", err)
		}
		syncs := faulty.Count(vfs.OpSync)
		expectGone(t, s, lost)
		expect(t, s, kept, data)
		big, bigData := blob(3, 10_000)
		if err := put(t.Context(), s, big, bigData); !errors.Is(err, volume.ErrReadOnly) {
			t.Errorf("put of a large blob: %v, want ErrReadOnly", err)
		}
		if err := s.Delete(t.Context(), []volume.BlobID{kept}); !errors.Is(err, volume.ErrReadOnly) {
			t.Errorf("delete: %v, want ErrReadOnly", err)
		}
		if err := s.Claim(t.Context(), "c"); !errors.Is(err, volume.ErrReadOnly) {
			t.Errorf("claim: %v, want ErrReadOnly", err)
		}
		if st := status(t, s); !strings.Contains(st.ReadOnly, "sync segment") {
			t.Errorf("status says read-only %q", st.ReadOnly)
		}
		closeStore(t, s)
		if n := faulty.Count(vfs.OpSync); n != syncs {
			t.Errorf("%d syncs after one had failed", n-syncs)
		}
		if n := strings.Count(l.String(), "read-only from now on"); n != 1 {
			t.Errorf("logged %d times that the store is read-only", n)
		}
		checkReopenedAfterFailedSync(t, mem, kept, lost, lostData, data)
	}
}

// checkReopenedAfterFailedSync opens a store again in the same system, where
// the page cache may show what the disk does not have. What is seen then must
// be there for good.
func checkReopenedAfterFailedSync(t *testing.T, mem *vfs.Mem, kept, lost volume.BlobID, lostData, data []byte) {
	t.Helper()
	s := open(t, small(mem))
	expect(t, s, kept, data)
	got, err := get(t.Context(), s, lost)
	seen := err == nil
	if seen && string(got) != string(lostData) {
		t.Error("wrong bytes")
	}
	// Neither closed nor written to: the power goes right after the start.
	after := open(t, small(mem.CrashClone()))
	expect(t, after, kept, data)
	if seen {
		expect(t, after, lost, lostData)
	} else {
		expectGone(t, after, lost)
	}
	closeStore(t, after)
	closeStore(t, s)
}

// TestNoSpaceLeavesNothing fills the disk in the middle of a batch: what was
// refused is gone, also after a power cut, and the store goes on by itself.
func TestNoSpaceLeavesNothing(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	faulty := vfs.NewFaulty(mem, vfs.Plan{})
	s := open(t, small(faulty))
	l := newLedger()
	if err := l.putBatch(s, 1, 100, 200); err != nil {
		t.Fatal(err)
	}
	// All bytes arrive, and the call still says that there was no space.
	faulty.SetPlan(vfs.Plan{Rules: []vfs.Rule{{Op: vfs.OpWriteAt, Fault: vfs.Fault{Err: syscall.ENOSPC, Persist: true}}}})
	if err := l.putBatch(s, 10, 300, 400, 500); !errors.Is(err, volume.ErrNoSpace) {
		t.Fatalf("put: %v, want ErrNoSpace", err)
	}
	for i, size := range []int{300, 400, 500} {
		id, _ := blob(10+i, size)
		l.set(id, refused)
	}
	l.check(t, s)
	for seed := range 20 {
		again := open(t, small(mem.CrashCloneRand(rand.New(rand.NewPCG(uint64(seed), 1)))))
		l.check(t, again)
		closeStore(t, again)
	}
	// The place of the refused records is used again.
	if err := l.putBatch(s, 20, 300); err != nil {
		t.Fatal(err)
	}
	l.check(t, s)
	closeStore(t, s)
	s = open(t, small(mem))
	l.check(t, s)
	closeStore(t, s)
}

// TestOutOfDescriptors runs out of file descriptors: no damage, nothing final.
func TestOutOfDescriptors(t *testing.T) {
	t.Parallel()
	faulty := vfs.NewFaulty(vfs.NewMem(), vfs.Plan{})
	s := open(t, small(faulty))
	large, largeData := blob(1, 10_000)
	mustPut(t, s, large, largeData)
	tooMany := vfs.Fault{Err: syscall.EMFILE}
	faulty.SetPlan(vfs.Plan{Rules: []vfs.Rule{
		{Op: vfs.OpCreate, Times: -1, Fault: tooMany}, {Op: vfs.OpOpenRead, Times: -1, Fault: tooMany},
	}})
	for _, size := range []int{100, 10_000} {
		id, data := blob(size, size)
		if err := put(t.Context(), s, id, data); !errors.Is(err, volume.ErrUnavailable) {
			t.Errorf("put of %d bytes: %v, want ErrUnavailable", size, err)
		}
	}
	if _, err := get(t.Context(), s, large); !errors.Is(err, volume.ErrUnavailable) || errors.Is(err, volume.ErrCorrupt) {
		t.Errorf("get: %v, want ErrUnavailable", err)
	}
	faulty.SetPlan(vfs.Plan{})
	expect(t, s, large, largeData)
	mustPut2(t, s, 100, 100)
	checkStore(t, s)
	closeStore(t, s)
}

// TestDeletionWithoutDescriptors deletes when there is no descriptor for the sync
// of a directory. The file is gone then; deleting its blob again still waits
// until that is durable.
func TestDeletionWithoutDescriptors(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	faulty := vfs.NewFaulty(mem, vfs.Plan{})
	s := open(t, small(faulty))
	mustPut2(t, s, 1, 10_000)
	faulty.SetPlan(vfs.Plan{Rules: []vfs.Rule{{Op: vfs.OpSyncDir, Times: 2, Fault: vfs.Fault{Err: syscall.EMFILE}}}})
	for range 2 {
		if err := s.Delete(t.Context(), []volume.BlobID{id(1)}); !errors.Is(err, volume.ErrUnavailable) {
			t.Errorf("delete: %v, want ErrUnavailable", err)
		}
		expectGone(t, s, id(1))
	}
	mustDelete(t, s, 1)
	after := open(t, small(mem.CrashClone()))
	expectGone(t, after, id(1))
	closeStore(t, after)
	closeStore(t, s)
}

// TestTemporaryFilesGo starts after a process that was killed while it wrote a
// large blob: what it had written takes no space any more.
func TestTemporaryFilesGo(t *testing.T) {
	t.Parallel()
	op := operation{history: killed(lived, vfs.OpRename, "*", func(tr *trial) error { return tr.put(50, 30_000) })}
	tr := newTrial(t, &op)
	for _, want := range []int{1, 0} {
		if left := len(files(t, tr.mem, dir+"/tmp")); left != want {
			t.Errorf("%d temporary files, want %d", left, want)
		}
		if want == 1 {
			tr.must(tr.open())
			tr.must(tr.close())
		}
	}
}
