package volume_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// TestFaults makes every call of the workload to the file system fail, one at a
// time, in every way that a disk can fail. Whatever was promised holds: while
// the store runs on, after it was opened again, and after a power cut.
func TestFaults(t *testing.T) {
	t.Parallel()
	faults := []struct {
		name  string
		fault vfs.Fault
	}{
		{"EIO", vfs.Fault{Err: syscall.EIO}},
		{"EIO but done", vfs.Fault{Err: syscall.EIO, Persist: true}},
		{"ENOSPC", vfs.Fault{Err: syscall.ENOSPC}},
		{"ENOSPC after 50 bytes", vfs.Fault{Err: syscall.ENOSPC, Short: 50}},
		{"EIO after 700 bytes", vfs.Fault{Err: syscall.EIO, Short: 700}},
	}
	ops := []vfs.Op{
		vfs.OpCreate, vfs.OpOpen, vfs.OpOpenRead, vfs.OpRename, vfs.OpRemove, vfs.OpMkdirAll, vfs.OpReadDir,
		vfs.OpSyncDir, vfs.OpReadAt, vfs.OpWriteAt, vfs.OpClose, vfs.OpSize, vfs.OpTruncate, vfs.OpAllocate, vfs.OpSync,
	}
	for _, f := range faults {
		for _, op := range ops {
			if f.fault.Short > 0 && op != vfs.OpWriteAt {
				continue
			}
			t.Run(f.name+"/"+op.String(), func(t *testing.T) {
				t.Parallel()
				for nth := 1; ; nth++ {
					hit := faultAt(t, vfs.Rule{Op: op, Nth: nth, Fault: f.fault})
					if t.Failed() {
						t.Fatalf("call %d", nth)
					}
					if !hit {
						if nth == 1 && op != vfs.OpOpen { // a new store opens nothing for writing
							t.Fatal("the workload never makes this call")
						}
						break
					}
				}
			})
		}
	}
}

// faultAt runs the workload with one fault and checks what is left of it. It
// reports whether the fault happened.
func faultAt(t *testing.T, rule vfs.Rule) (hit bool) {
	t.Helper()
	mem := vfs.NewMem()
	faulty := vfs.NewFaulty(mem, vfs.Plan{Rules: []vfs.Rule{rule}})
	cfg := small(faulty)
	cfg.CompactRatio = 0.01
	l := newLedger()
	s, err := volume.Open(cfg)
	if err != nil {
		hit = true
		if !errors.Is(err, rule.Fault.Err) {
			t.Errorf("open: %v, want the fault in it", err)
		}
	} else {
		workErr := workload(t.Context(), s, l)
		hit = faulty.Count(rule.Op) >= rule.Nth
		faulty.SetPlan(vfs.Plan{})
		checkErrorKinds(t, workErr, rule)
		checkAfterFault(t, s, l, workErr, rule)
		if rule.Nth%2 == 0 { // a store that is not closed has crashed
			closeStore(t, s)
		}
	}
	for _, disk := range []*vfs.Mem{mem.CrashClone(), mem.CrashCloneRand(rand.New(rand.NewPCG(uint64(rule.Nth), 3)))} {
		s := open(t, small(disk))
		l.check(t, s)
		closeStore(t, s)
	}
	return hit
}

// checkErrorKinds checks that a caller can tell a full disk from a broken one.
func checkErrorKinds(t *testing.T, err error, rule vfs.Rule) {
	t.Helper()
	if err == nil {
		return
	}
	known := errors.Is(err, volume.ErrReadOnly) || errors.Is(err, volume.ErrNoSpace) || errors.Is(err, volume.ErrCorrupt) ||
		strings.Contains(err.Error(), "compact")
	if !known || !errors.Is(err, rule.Fault.Err) {
		t.Errorf("%v: it should have a kind and name its cause", err)
	}
}

// checkAfterFault checks the store that met a fault and went on.
func checkAfterFault(t *testing.T, s *volume.Store, l *ledger, workErr error, rule vfs.Rule) {
	t.Helper()
	st := status(t, s)
	readOnly := st.ReadOnly != ""
	if readOnly != errors.Is(workErr, volume.ErrReadOnly) {
		t.Errorf("status says read-only %q, the caller was told %v", st.ReadOnly, workErr)
	}
	if errors.Is(workErr, volume.ErrCorrupt) {
		return // a failed read in compaction counts as damage, rightly
	}
	l.check(t, s)
	id, data := blob(7777, 123)
	err := put(t.Context(), s, id, data)
	if readOnly {
		if !errors.Is(err, volume.ErrReadOnly) || !strings.Contains(fmt.Sprint(err), rule.Fault.Err.Error()) {
			t.Errorf("put into a read-only store: %v", err)
		}
		return
	}
	if err != nil {
		t.Errorf("put after the fault: %v", err)
		return
	}
	l.states[id], l.data[id] = present, data
}

// TestFailedSyncIsFinal checks the whole course of a failed sync: the waiting
// writers are told, later ones too, reads go on, and nothing is synced again.
func TestFailedSyncIsFinal(t *testing.T) {
	t.Parallel()
	for _, persist := range []bool{false, true} {
		mem := vfs.NewMem()
		faulty := vfs.NewFaulty(mem, vfs.Plan{})
		var l logs
		cfg := small(faulty)
		cfg.Logger = l.logger()
		s := open(t, cfg)
		kept, data := blob(1, 300)
		mustPut(t, s, kept, data)

		faulty.SetPlan(vfs.Plan{Rules: []vfs.Rule{{Op: vfs.OpSync, Match: "*.seg", Fault: vfs.Fault{Err: syscall.EIO, Persist: persist}}}})
		lost, lostData := blob(2, 300)
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

// TestOpenFaults opens what a crash left while each call fails in turn. Open
// either fails, or the store is right; and the next Open finds all of it.
func TestOpenFaults(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	var disks []*vfs.Mem
	l := newLedger()
	faulty := vfs.NewFaulty(mem, vfs.Plan{})
	s := open(t, small(faulty))
	for i := range 3 {
		if err := errors.Join(l.putBatch(s, 10*i, 100, 200, 4000), s.Seal()); err != nil {
			t.Fatal(err)
		}
	}
	id, data := blob(100, 9000)
	if err := l.put(t.Context(), s, id, data); err != nil {
		t.Fatal(err)
	}
	faulty.SetPlan(vfs.Plan{Hook: func(call vfs.Call) *vfs.Fault {
		if call.Op == vfs.OpSync {
			disks = append(disks, mem.CrashCloneRand(rand.New(rand.NewPCG(uint64(call.Nth), 8))))
		}
		return nil
	}})
	before := l.snapshot()
	if err := errors.Join(l.putBatch(s, 200, 100, 200, 300), l.delete(t.Context(), s, id)); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	for i := range 3 {
		number := 200 + i
		id, data := blob(number, 100*(1+i))
		before.states[id], before.data[id] = putting, data
	}
	before.states[id] = deleting
	for _, disk := range disks {
		for _, fault := range []vfs.Fault{{Err: syscall.EIO}, {Err: syscall.ENOSPC}, {Err: syscall.EIO, Persist: true}} {
			for nth := 1; openFault(t, disk.CrashClone(), before, vfs.Rule{Nth: nth, Fault: fault}); nth++ {
				if t.Failed() {
					t.Fatalf("call %d, %+v", nth, fault)
				}
			}
		}
	}
}

// openFault reports whether the fault happened.
func openFault(t *testing.T, disk *vfs.Mem, l *ledger, rule vfs.Rule) bool {
	t.Helper()
	faulty := vfs.NewFaulty(disk, vfs.Plan{Rules: []vfs.Rule{rule}})
	s, err := volume.Open(small(faulty))
	hit := faulty.Count(vfs.OpAny) >= rule.Nth
	faulty.SetPlan(vfs.Plan{})
	if err == nil {
		l.check(t, s)
		closeStore(t, s)
	} else if !errors.Is(err, rule.Fault.Err) {
		t.Errorf("open: %v, want the fault in it", err)
	}
	for _, left := range []*vfs.Mem{disk, disk.CrashClone()} {
		s, err := volume.Open(small(left))
		if err != nil {
			t.Errorf("open after a failed open: %v", err)
			return false
		}
		l.check(t, s)
		closeStore(t, s)
	}
	return hit
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
