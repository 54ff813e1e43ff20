package volume_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// failure is a way in which a call to the file system goes wrong.
type failure struct {
	name  string
	fault func(vfs.Call, *rand.Rand) *vfs.Fault // nil: not with this call
	from  bool                                  // also all calls after it
}

var writes = []vfs.Op{
	vfs.OpCreate, vfs.OpRename, vfs.OpRemove, vfs.OpMkdirAll, vfs.OpSyncDir, vfs.OpWriteAt, vfs.OpTruncate, vfs.OpAllocate, vfs.OpWriteOut, vfs.OpSync,
}

// failures returns every way in which a call can fail.
func failures() []failure {
	opens := []vfs.Op{vfs.OpCreate, vfs.OpOpen, vfs.OpOpenRead, vfs.OpReadDir, vfs.OpSyncDir, vfs.OpLock}
	takesSpace := []vfs.Op{vfs.OpCreate, vfs.OpRename, vfs.OpMkdirAll, vfs.OpWriteAt, vfs.OpAllocate, vfs.OpWriteOut}
	list := []failure{
		{"EIO", failing(syscall.EIO, false), false},
		{"EIO, done", failing(syscall.EIO, true), false},
		{"EIO from now on", failing(syscall.EIO, false), true},
		{"EROFS from now on", failing(syscall.EROFS, false, writes...), true},
		{"EMFILE", failing(syscall.EMFILE, false, opens...), false},
		{"ENOSPC", failing(syscall.ENOSPC, false, append(takesSpace, vfs.OpSync, vfs.OpSyncDir)...), false},
		{"ENOSPC, done", failing(syscall.ENOSPC, true, vfs.OpWriteAt, vfs.OpAllocate, vfs.OpSync), false},
		{"ENOSPC from now on", failing(syscall.ENOSPC, false, takesSpace...), true},
		{"EIO, pages lost", losing(func(*rand.Rand) bool { return false }), false},
		{"EIO, some pages lost", losing(func(rng *rand.Rand) bool { return rng.IntN(2) == 0 }), false},
	}
	for _, cut := range []struct {
		name string
		at   func(int64) int64
	}{
		{"1 byte", func(int64) int64 { return 1 }}, {"511 bytes", func(int64) int64 { return 511 }},
		{"a sector", func(int64) int64 { return 512 }}, {"half", func(n int64) int64 { return n / 2 }},
		{"all but a byte", func(n int64) int64 { return n - 1 }},
	} {
		list = append(list,
			failure{"EIO after " + cut.name, short(syscall.EIO, cut.at, vfs.OpWriteAt, vfs.OpReadAt), false},
			failure{"ENOSPC after " + cut.name, short(syscall.ENOSPC, cut.at, vfs.OpWriteAt), false})
	}
	return list
}

func failing(err error, done bool, ops ...vfs.Op) func(vfs.Call, *rand.Rand) *vfs.Fault {
	return func(call vfs.Call, _ *rand.Rand) *vfs.Fault {
		if len(ops) > 0 && !slices.Contains(ops, call.Op) {
			return nil
		}
		return &vfs.Fault{Err: err, Persist: done}
	}
}

func short(err error, at func(int64) int64, ops ...vfs.Op) func(vfs.Call, *rand.Rand) *vfs.Fault {
	return func(call vfs.Call, _ *rand.Rand) *vfs.Fault {
		cut := at(call.Len)
		if !slices.Contains(ops, call.Op) || cut <= 0 || cut >= call.Len {
			return nil
		}
		return &vfs.Fault{Err: err, Short: int(cut)}
	}
}

func losing(keep func(*rand.Rand) bool) func(vfs.Call, *rand.Rand) *vfs.Fault {
	return func(call vfs.Call, rng *rand.Rand) *vfs.Fault {
		if call.Op != vfs.OpSync {
			return nil
		}
		return &vfs.Fault{Err: syscall.EIO, Keep: func(int64) bool { return keep(rng) }}
	}
}

// seeds returns how often to repeat what chance decides: usual, unless the
// environment sets TDKVS_FAULT_SEEDS.
func seeds(t testing.TB, usual int) int {
	t.Helper()
	text := os.Getenv("TDKVS_FAULT_SEEDS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("TDKVS_FAULT_SEEDS=%q", text)
	}
	return n
}

// TestFaultMatrix makes every call of every operation fail, one at a time, in
// every way. Whatever was promised holds: while the store runs on, after a
// restart, and after a power cut at any of these moments. testdata/faults.txt
// tells what the caller heard each time.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	var points atomic.Int64
	var told report
	t.Run("operations", func(t *testing.T) {
		for _, op := range operations() {
			t.Run(op.name, func(t *testing.T) {
				t.Parallel()
				for nth, call := range op.calls(t) {
					for _, how := range failures() {
						for seed := range seeds(t, 1) {
							rng := rand.New(rand.NewPCG(uint64(nth), uint64(seed)))
							if how.fault(call, rng) == nil {
								break
							}
							outcome := strike(t, &op, nth, how, rng, newPicker(int(points.Add(1))))
							told.add(&op, call, how, outcome)
							if t.Failed() {
								t.Fatalf("%s: call %d, %s of %s, seed %d: %s: %s", op.name, nth, call.Op, call.Name, seed, how.name, outcome)
							}
						}
					}
				}
			})
		}
	})
	t.Logf("%d fault points", points.Load())
	told.compare(t)
}

// strike lets the n-th call of an operation fail and checks what follows. It
// returns what the caller was told.
func strike(t testing.TB, op *operation, nth int, how failure, rng *rand.Rand, pick *picker) (outcome string) {
	t.Helper()
	tr := newTrial(t, op)
	n := -1
	var first *vfs.Fault
	tr.faulty.SetPlan(vfs.Plan{Hook: func(call vfs.Call) *vfs.Fault {
		if n++; n < nth || n > nth && !how.from {
			return nil
		}
		fault := how.fault(call, rng)
		if n == nth {
			first = fault
		}
		return fault
	}})
	err := op.run(tr)
	tr.faulty.SetPlan(vfs.Plan{})
	if first == nil {
		t.Errorf("the call was not made again")
		return "?"
	}
	tr.checkTold(err, first)
	told := tr.l.snapshot()
	synced, part := tr.mem.CrashClone(), tr.mem.CrashCloneRand(rng)
	if tr.s != nil {
		tr.checkLive(err, first)
	}
	outcome = tr.outcome(err)
	if pick.of(3) {
		told.inspect(t, synced, pick)
	}
	if pick.of(3) {
		told.inspect(t, part, pick)
	}
	if pick.of(3) {
		tr.restart(rng.IntN(2) == 0)
		tr.l.inspect(t, tr.mem, pick)
	}
	return outcome
}

// outcome says in a word what an operation came to.
func (tr *trial) outcome(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, volume.ErrReadOnly):
		return "read-only"
	case errors.Is(err, volume.ErrNoSpace):
		return "no space"
	case errors.Is(err, volume.ErrCorrupt):
		return "corrupt"
	case errors.Is(err, volume.ErrUnavailable):
		return "unavailable"
	}
	return "failed"
}

// checkTold checks that a caller can tell one trouble from another: the error
// has a kind, unless the store would not open or close, and names its cause.
func (tr *trial) checkTold(err error, fault *vfs.Fault) {
	tr.t.Helper()
	if err == nil {
		return
	}
	if !errors.Is(err, fault.Err) {
		tr.t.Errorf("%v: it should name its cause", err)
	}
	if tr.s != nil && !tr.op.inside && tr.outcome(err) == "failed" {
		tr.t.Errorf("%v: it should have a kind", err)
	}
}

// checkLive checks the store that met a fault and goes on.
func (tr *trial) checkLive(err error, fault *vfs.Fault) {
	t := tr.t
	t.Helper()
	st := status(t, tr.s)
	if readOnly := st.ReadOnly != ""; readOnly != errors.Is(err, volume.ErrReadOnly) {
		t.Errorf("status says read-only %q, the caller was told %v", st.ReadOnly, err)
	}
	if st.CorruptReads+uint64(st.Quarantined) > 0 {
		tr.l.checkBlobs(t, tr.s) // a failed read counts as damage, rightly
	} else {
		tr.l.check(t, tr.s)
	}
	if st.ReadOnly == "" {
		tr.l.exercise(t, tr.s)
		return
	}
	if tr.op.reads || errors.Is(fault.Err, syscall.EMFILE) {
		t.Errorf("read-only after %v: %s", fault.Err, st.ReadOnly)
	}
	id, data := blob(50_000, 123)
	if err := put(t.Context(), tr.s, id, data); !errors.Is(err, volume.ErrReadOnly) || !errors.Is(err, fault.Err) {
		t.Errorf("put into a read-only store: %v", err)
	}
	if err := tr.s.Delete(t.Context(), []volume.BlobID{id}); !errors.Is(err, volume.ErrReadOnly) {
		t.Errorf("delete in a read-only store: %v", err)
	}
}

// restart ends the process: it closes the store, or is killed.
func (tr *trial) restart(orderly bool) {
	tr.t.Helper()
	if tr.s != nil && orderly {
		tr.must(tr.close())
		return
	}
	tr.bury()
}
