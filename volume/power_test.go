package volume_test

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"tdkvs/volume/vfs"
)

// image is what a power cut at one moment may have left, and what had been
// promised by then.
type image struct {
	disk *vfs.Mem
	l    *ledger
	how  string
}

// TestPowerCuts takes the power away before and after every call of every
// operation. The disk then holds what was synced and no more; or everything; or
// any part of it; or everything but some sectors of the last write.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	var images atomic.Int64
	t.Run("operations", func(t *testing.T) {
		for _, op := range operations() {
			t.Run(op.name, func(t *testing.T) {
				t.Parallel()
				for seed := range seeds(t, 1) {
					powerCuts(t, &op, seed, func(im image) {
						im.l.inspect(t, im.disk, newPicker(int(images.Add(1))))
						if t.Failed() {
							t.Fatalf("seed %d: %s", seed, im.how)
						}
					})
				}
			})
		}
	})
	t.Logf("%d images", images.Load())
}

// powerCuts runs an operation and hands out what power cuts in it can leave.
func powerCuts(t testing.TB, op *operation, seed int, each func(image)) {
	t.Helper()
	tr := newTrial(t, op)
	rng := rand.New(rand.NewPCG(uint64(seed), 17))
	var images []image
	var before vfs.Call
	cut := func(when string) {
		l := tr.l.snapshot() // before the disk: what is promised later is more than is asked for
		add := func(how string, disk *vfs.Mem) { images = append(images, image{disk, l, when + ", " + how}) }
		add("what was synced", tr.mem.CrashClone())
		add("all of it", tr.mem.CrashCloneTorn(func(int64) bool { return true }))
		for range 3 {
			add("any of it", tr.mem.CrashCloneRand(rng))
		}
		if before.Op == vfs.OpWriteAt {
			tear(before, rng, func(how string, keep func(int64) bool) { add(how, tr.mem.CrashCloneTorn(keep)) })
		}
	}
	tr.faulty.SetPlan(vfs.Plan{Hook: func(call vfs.Call) *vfs.Fault {
		if before.Op != vfs.OpAny && changes(before) || changes(call) && len(images) == 0 {
			cut("before " + call.Op.String() + " of " + call.Name)
		}
		before = call
		return nil
	}})
	if err := op.run(tr); err != nil {
		t.Fatal(err)
	}
	tr.faulty.SetPlan(vfs.Plan{})
	cut("afterwards")
	tr.bury()
	for _, im := range images {
		each(im)
	}
}

// changes reports whether a call can make a difference to a power cut.
func changes(call vfs.Call) bool {
	for _, op := range writes {
		if op == call.Op {
			return true
		}
	}
	return false
}

// maxTears bounds in how many ways one write is torn.
const maxTears = 24

// tear hands out ways to tear a write: after each of its sectors, and without
// one of them. Of a long write some are chosen.
func tear(call vfs.Call, rng *rand.Rand, each func(how string, keep func(int64) bool)) {
	const sector = 512
	sectors := (call.Off+call.Len-1)/sector - call.Off/sector + 1
	for i := range min(sectors, maxTears/2) {
		at := i
		if sectors > maxTears/2 {
			at = rng.Int64N(sectors)
		}
		each("torn after a sector", func(n int64) bool { return n < at })
		each("without a sector", func(n int64) bool { return n != at })
	}
}
