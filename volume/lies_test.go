package volume_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// lieAt runs an operation on a disk that lies at the n-th call.
func lieAt(t testing.TB, op *operation, nth int) (tr *trial, err error) {
	t.Helper()
	tr = newTrial(t, op)
	n := -1
	tr.faulty.SetPlan(vfs.Plan{Hook: func(vfs.Call) *vfs.Fault {
		if n++; n == nth {
			return &vfs.Fault{Lie: true}
		}
		return nil
	}})
	err = op.run(tr)
	tr.faulty.SetPlan(vfs.Plan{})
	return tr, err
}

// TestFlippedReads flips one bit in every read that any operation makes. No
// reader gets a wrong byte, and none is written: when the disk reads right
// again everything is there. Only of a process that was killed the last batch
// may be missing, for which nothing vouches.
func TestFlippedReads(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			for nth, call := range op.calls(t) {
				if call.Op != vfs.OpReadAt {
					continue
				}
				tr, err := lieAt(t, &op, nth)
				if tr.s != nil {
					tr.l.checkNoWrongBytes(t, tr.s)
					if op.reads && err != nil && !errors.Is(err, volume.ErrCorrupt) {
						t.Errorf("told %v, want ErrCorrupt", err)
					}
				}
				tr.bury()
				s := open(t, laboratory(tr.mem))
				if strings.HasPrefix(op.name, "open, ") {
					tr.l.checkNoWrongBytes(t, s)
					checkStore(t, s)
				} else {
					tr.l.check(t, s)
				}
				closeStore(t, s)
				if t.Failed() {
					t.Fatalf("call %d, %s of %s at %d+%d", nth, call.Op, call.Name, call.Off, call.Len)
				}
			}
		})
	}
}

// checkNoWrongBytes checks a store on a disk that was not true to it: a blob is
// as it was put, or the reader is told that it is not.
func (l *ledger) checkNoWrongBytes(t testing.TB, s *volume.Store) {
	t.Helper()
	for id, data := range l.data {
		got, err := get(t.Context(), s, id)
		switch {
		case err == nil && !bytes.Equal(got, data):
			t.Errorf("blob %s: wrong bytes", id)
		case err != nil && !errors.Is(err, volume.ErrCorrupt) && !errors.Is(err, volume.ErrNotFound):
			t.Errorf("blob %s: %v", id, err)
		}
		info, err := s.Stat(t.Context(), id)
		if err == nil && (!bytes.Equal(info.Descriptor, descriptorOf(id)) || info.Size != int64(len(data))) {
			t.Errorf("stat %s: size %d, descriptor %q", id, info.Size, info.Descriptor)
		}
	}
}

// witness stands in for a test and keeps what it is told, where a check is to
// be shown to fail.
type witness struct {
	testing.TB
	mu   sync.Mutex
	told []string
}

func (w *witness) Helper() {}

func (w *witness) Errorf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, fmt.Sprintf(format, args...))
}

func (w *witness) Error(args ...any) { w.Errorf("%s", fmt.Sprint(args...)) }

func (w *witness) Fatal(args ...any) {
	w.Error(args...)
	runtime.Goexit()
}

func (w *witness) Fatalf(format string, args ...any) {
	w.Errorf(format, args...)
	runtime.Goexit()
}

// sees reports whether a check fails.
func sees(t testing.TB, check func(testing.TB)) bool {
	w := &witness{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(w)
	}()
	<-done
	return len(w.told) > 0
}

const noPromise = "where the scrub stands: it begins anew without it"

// harmless are the calls that no promise rests on, and why.
var harmless = map[string]string{
	"close: sync segment":                  "all that was acknowledged was synced before",
	"close: truncate segment":              "gives space back",
	"close: writeat segment":               "a mark: without it damage to the last batch looks like a torn batch",
	"open a new directory: syncdir volume": "making the directories in it syncs it again",
	"open: allocate segment":               "takes space in advance, for the compaction that follows once",
	"open: remove segment":                 "gives space back, in the same compaction",
	"open: remove temporary file":          "gives space back",
	"open: syncdir blobs":                  "for a process killed within MkdirAll: see TestDirectoryNotSynced",
	"put a batch: allocate segment":        "takes space in advance",
	"put large: allocate temporary file":   "takes space in advance",
	"put large: writeout temporary file":   "begins early what the sync does",
	"put small: allocate segment":          "takes space in advance",
	"scrub: rename scrub.json.tmp":         noPromise,
	"scrub: sync scrub.json.tmp":           noPromise,
	"scrub: syncdir volume":                noPromise,
	"scrub: writeat scrub.json.tmp":        noPromise,
	"seal: writeat segment":                "the footer is derived: without it the records are read",
}

// TestLostCalls is the negative control of the laboratory: each call that makes
// something durable, or writes it, is left out in turn while the store is told
// that it was made. The checks see it, but for those calls that no promise
// rests on. Where two calls do the same for safety both are left out.
func TestLostCalls(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]bool{}
	t.Run("operations", func(t *testing.T) {
		for _, op := range operations() {
			t.Run(op.name, func(t *testing.T) {
				t.Parallel()
				for nth, call := range op.calls(t) {
					if !changes(call) || call.Op == vfs.OpCreate || call.Op == vfs.OpMkdirAll {
						continue // a file that is not there is an error at once
					}
					line := op.line(call)
					mu.Lock()
					known := seen[line]
					mu.Unlock()
					if known || !thorough() && harmless[line] != "" {
						continue
					}
					found := lossIsSeen(t, &op, func(n int, _ vfs.Call) bool { return n == nth }) ||
						lossIsSeen(t, &op, func(_ int, c vfs.Call) bool { return c.Op == call.Op && place(c) == place(call) })
					mu.Lock()
					seen[line] = seen[line] || found
					mu.Unlock()
				}
			})
		}
	})
	count := 0
	for _, line := range slices.Sorted(maps.Keys(seen)) {
		switch {
		case !seen[line] && harmless[line] == "":
			t.Errorf("nobody sees that this call was not made: %s", line)
		case seen[line] && harmless[line] != "":
			t.Errorf("not harmless: %s", line)
		case seen[line]:
			count++
		}
	}
	t.Logf("%d kinds of lost call are seen, %d harm nothing", count, len(harmless))
}

// lossIsSeen leaves some calls of an operation out and reports whether the
// checks notice: at once, or when the power goes at any moment after the first.
func lossIsSeen(t testing.TB, op *operation, lost func(int, vfs.Call) bool) bool {
	t.Helper()
	return sees(t, func(t testing.TB) {
		tr := newTrial(t, op)
		rng := rand.New(rand.NewPCG(3, 5))
		var images []image
		n, begun := -1, false
		cut := func() {
			l := tr.l.snapshot()
			images = append(images, image{tr.mem.CrashClone(), l, ""}, image{tr.mem.CrashCloneRand(rng), l, ""}, image{tr.mem.CrashCloneRand(rng), l, ""})
		}
		tr.faulty.SetPlan(vfs.Plan{Hook: func(call vfs.Call) *vfs.Fault {
			if n++; begun {
				cut()
			}
			if !lost(n, call) {
				return nil
			}
			begun = true
			return &vfs.Fault{Lie: true}
		}})
		if err := op.run(tr); err != nil {
			t.Fatalf("told: %v", err)
		}
		tr.faulty.SetPlan(vfs.Plan{})
		if tr.s != nil {
			tr.l.adopt(t, tr.s) // an opened store promises what it shows
			tr.l.check(t, tr.s)
			cut()
			tr.must(tr.put(50_002, sizeAfter))
		}
		cut()
		for _, im := range images {
			im.l.inspect(t, im.disk, &picker{all: true})
		}
		tr.bury()
		tr.l.inspect(t, tr.mem, &picker{all: true})
	})
}
