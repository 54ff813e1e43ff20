package volume_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// operation is one thing that a store does, and what went before.
type operation struct {
	name    string
	history func(*trial) // undisturbed; nil: nothing, the store is not open
	run     func(*trial) error
	reads   bool // it changes nothing that matters
	inside  bool // no caller hears of it: it is logged
}

// Blobs of the history, by number.
const (
	smallFirst = 1  // to 6; 1 to 5 in the first segment with large ones between
	large      = 20 // to 22
	later      = 30 // to 33, in the second segment
	last       = 40 // to 42, in the third, which is active
)

// sizeAfter is the size of the first blob that is put after a restart. A record
// of the same length takes its place exactly.
const sizeAfter = 600

func id(number int) volume.BlobID {
	id, _ := blob(number, 0)
	return id
}

// beside returns the number of a blob that goes to the same directory.
func beside(number int) int {
	other := 70_000
	for id(other)[0] != id(number)[0] {
		other++
	}
	return other
}

// put is a Put of the operation under test. What it was refused for lack of
// space must be gone.
func (tr *trial) put(number, size int) error {
	id, data := blob(number, size)
	return tr.refuse(tr.l.put(context.Background(), tr.s, id, data), id)
}

// putUnknown is put for a body of unknown length.
func (tr *trial) putUnknown(number, size int) error {
	id, data := blob(number, size)
	tr.l.states[id], tr.l.data[id] = putting, data
	err := tr.s.Put(context.Background(), id, -1, bytes.NewReader(data), func() ([]byte, error) { return descriptorOf(id), nil })
	if err == nil {
		tr.l.set(id, present)
	}
	return tr.refuse(err, id)
}

// batch is put for several small blobs under one sync.
func (tr *trial) batch(first int, sizes ...int) error {
	var ids []volume.BlobID
	for i := range sizes {
		ids = append(ids, id(first+i))
	}
	return tr.refuse(tr.l.putBatch(tr.s, first, sizes...), ids...)
}

// refuse notes what there was no space for: it may not show up later.
func (tr *trial) refuse(err error, ids ...volume.BlobID) error {
	if errors.Is(err, volume.ErrNoSpace) {
		for _, id := range ids {
			tr.l.set(id, refused)
		}
	}
	return err
}

func (tr *trial) delete(numbers ...int) error {
	var ids []volume.BlobID
	for _, n := range numbers {
		ids = append(ids, id(n))
	}
	return tr.l.delete(context.Background(), tr.s, ids...)
}

func (tr *trial) compact() error {
	for {
		if more, err := tr.s.CompactNext(context.Background()); err != nil || !more {
			return err
		}
	}
}

// empty opens a new volume.
func empty(tr *trial) { tr.must(tr.open()) }

// lived gives a volume three segments, of which two are sealed and hold dead
// records and tombstones that are still needed, and some large blobs.
func lived(tr *trial) {
	tr.must(tr.open())
	tr.must(tr.batch(smallFirst, 0, 100, 600, 3000, 4096, 50), tr.put(large, 5000), tr.put(large+1, 70_000), tr.put(large+2, 4200))
	tr.must(tr.s.Seal())
	tr.must(tr.put(later, 700), tr.delete(smallFirst, smallFirst+3, large+2), tr.batch(later+1, 10, 2000, 1))
	tr.must(tr.s.MarkIdle(), tr.s.Seal())
	tr.must(tr.batch(last, 300, 4000, 20), tr.delete(later+2, smallFirst+4, last+1))
}

// full fills the active segment of a volume that has lived.
func full(tr *trial) {
	lived(tr)
	sizes := make([]int, 65)
	for i := range sizes {
		sizes[i] = 4096
	}
	tr.must(tr.batch(1000, sizes...))
}

func closed(tr *trial) {
	lived(tr)
	tr.must(tr.close())
}

// killed is a history that ends in a process killed at a call of an operation.
func killed(history func(*trial), op vfs.Op, match string, work func(*trial) error) func(*trial) {
	return func(tr *trial) {
		history(tr)
		tr.kill(func(call vfs.Call) bool {
			ok, err := filepath.Match(match, place(call))
			return ok && err == nil && (op == vfs.OpAny || op == call.Op)
		}, func() error { return work(tr) })
	}
}

// syncFailed is a history that ends with a failed sync, of which the disk got
// nothing, and a restart. The page cache shows all of it, and takes it for
// written.
func syncFailed(history func(*trial), work func(*trial) error) func(*trial) {
	return syncKept(history, func(int64) bool { return false }, work)
}

// syncKept is syncFailed where some sectors did reach the disk.
func syncKept(history func(*trial), keep func(sector int64) bool, work func(*trial) error) func(*trial) {
	return func(tr *trial) {
		history(tr)
		tr.faulty.SetPlan(vfs.Plan{Rules: []vfs.Rule{{Op: vfs.OpSync, Fault: vfs.Fault{
			Err: syscall.EIO, Keep: keep,
		}}}})
		if err := work(tr); !errors.Is(err, volume.ErrReadOnly) {
			tr.t.Fatalf("%v, want ErrReadOnly", err)
		}
		tr.bury()
	}
}

// torn is a history that ends in a power cut in a batch of two records, of
// which the first is not whole and the second is.
func torn(tr *trial) {
	lived(tr)
	var after *vfs.Mem
	tr.faulty.SetPlan(vfs.Plan{Hook: func(call vfs.Call) *vfs.Fault {
		if call.Op == vfs.OpSync {
			after = tr.mem.CrashCloneTorn(func(sector int64) bool { return sector != 0 })
		}
		return nil
	}})
	l := tr.l.snapshot()
	tr.must(tr.batch(50, sizeAfter, 2000))
	for number, size := range map[int]int{50: sizeAfter, 51: 2000} {
		id, data := blob(number, size)
		l.states[id], l.data[id] = putting, data
	}
	tr.bury()
	tr.mem, tr.l = after, l
	tr.faulty = vfs.NewFaulty(tr.mem, vfs.Plan{})
	tr.cfg = laboratory(tr.faulty)
}

// operations returns everything that a store does.
func operations() []operation {
	return slices.Concat(writing(), unsyncedWrites(), opening(), reading())
}

func opening() []operation {
	open := (*trial).open
	even := func(sector int64) bool { return sector%2 == 0 }
	sealing := func(tr *trial) error { return tr.s.Seal() }
	putBatch := func(tr *trial) error { return tr.batch(50, 500, 4000, 3, 4096) }
	putLarge := func(tr *trial) error { return tr.put(50, 30_000) }
	compact := (*trial).compact
	return []operation{
		{name: "open a new directory", run: open},
		{name: "open", history: closed, run: open},
		{name: "open, killed when idle", history: killed(lived, vfs.OpAny, "*", putBatch), run: open},
		{name: "open, killed in the first batch", history: killed(empty, vfs.OpSync, "segment", putBatch), run: open},
		{name: "open, killed in a batch", history: killed(lived, vfs.OpSync, "segment", putBatch), run: open},
		{name: "open, killed sealing", history: killed(lived, vfs.OpSync, "segment", sealing), run: open},
		{name: "open, killed in a large put", history: killed(lived, vfs.OpRename, "*", putLarge), run: open},
		{name: "open, killed before a large put was durable", history: killed(lived, vfs.OpSyncDir, "blobs/*", putLarge), run: open},
		{name: "open, killed in a large deletion", history: killed(lived, vfs.OpSyncDir, "blobs/*", func(tr *trial) error { return tr.delete(large) }), run: open},
		{name: "open, killed copying", history: killed(lived, vfs.OpSync, "segment", compact), run: open},
		{name: "open, killed in compaction", history: killed(lived, vfs.OpRemove, "segment", compact), run: open},
		{name: "open, a sync has failed", history: syncFailed(lived, putBatch), run: open},
		{name: "open, the sync of a footer has failed", history: syncFailed(lived, sealing), run: open},
		{name: "open, the sync of a footer has failed in part, and put", history: syncKept(full, even, sealing), run: func(tr *trial) error {
			if err := tr.open(); err != nil {
				return err
			}
			return tr.put(90, 100)
		}},
		{name: "open, torn by a power cut", history: torn, run: open},
		{name: "open, killed after compaction, and compact", history: killed(lived, vfs.OpSyncDir, "segments", compact), inside: true, run: func(tr *trial) error {
			if err := tr.open(); err != nil {
				return err
			}
			return tr.compact()
		}},
		{name: "open, killed after compaction", history: killed(lived, vfs.OpSyncDir, "segments", compact), run: open},
	}
}

func writing() []operation {
	return []operation{
		{name: "put small, the first", history: empty, run: func(tr *trial) error { return tr.put(50, 1000) }},
		{name: "put small", history: lived, run: func(tr *trial) error { return tr.put(50, 1000) }},
		{name: "put small, length unknown", history: lived, run: func(tr *trial) error { return tr.putUnknown(50, 1000) }},
		{name: "put a batch", history: lived, run: func(tr *trial) error { return tr.batch(50, 500, 4000, 0, 4096, 77) }},
		{name: "put a batch, the segment is full", history: full, run: func(tr *trial) error { return tr.batch(50, 4096, 4096, 4096) }},
		{name: "put large", history: lived, run: func(tr *trial) error { return tr.put(50, 70_000) }},
		{name: "put large, several writes", history: lived, run: func(tr *trial) error { return tr.put(50, 700_000) }},
		{name: "put large, directory known", history: lived, run: func(tr *trial) error { return tr.put(beside(large+1), 70_000) }},
		{name: "put large, length unknown", history: lived, run: func(tr *trial) error { return tr.putUnknown(50, 70_000) }},
		{name: "delete small", history: lived, run: func(tr *trial) error { return tr.delete(smallFirst + 1) }},
		{name: "delete large", history: lived, run: func(tr *trial) error { return tr.delete(large + 1) }},
		{name: "delete several", history: lived, run: func(tr *trial) error { return tr.delete(smallFirst+1, large, later, large+1, last) }},
		{name: "compact", history: lived, inside: true, run: (*trial).compact},
		{name: "seal", history: lived, run: func(tr *trial) error { return tr.s.Seal() }},
		{name: "mark", history: lived, run: func(tr *trial) error { return tr.s.MarkIdle() }},
		{name: "claim", history: lived, run: func(tr *trial) error {
			return tr.l.claim(context.Background(), tr.s, "11111111-2222-4333-8444-555555555555")
		}},
		{name: "close", history: lived, run: (*trial).close},
	}
}

func reading() []operation {
	return []operation{
		{name: "scrub", history: lived, reads: true, run: func(tr *trial) error {
			tr.s.ScrubOnce(context.Background())
			return nil
		}},
		{name: "read small", history: lived, reads: true, run: func(tr *trial) error { return tr.read(smallFirst + 1) }},
		{name: "read large", history: lived, reads: true, run: func(tr *trial) error { return tr.read(large + 1) }},
		{name: "status and list", history: lived, reads: true, run: func(tr *trial) error {
			_, err := tr.s.Status(context.Background())
			_, listErr := tr.s.List(context.Background(), volume.BlobID{}, 10)
			return errors.Join(err, listErr)
		}},
	}
}

// read does everything with a blob that does not change it. Wrong bytes end the
// trial.
func (tr *trial) read(number int) error {
	id := id(number)
	data := tr.l.data[id]
	got, err := get(context.Background(), tr.s, id)
	if !strings.HasPrefix(string(data), string(got)) || err == nil && len(got) != len(data) {
		tr.t.Errorf("wrong bytes: %d of %d", len(got), len(data))
	}
	from := int64(len(data) / 2)
	part, partErr := tr.s.Get(context.Background(), id, from, -1)
	if partErr == nil {
		got, partErr = io.ReadAll(part)
		if !bytes.HasPrefix(data[from:], got) || partErr == nil && int64(len(got)) != int64(len(data))-from {
			tr.t.Errorf("wrong bytes: %d of a range", len(got))
		}
		partErr = errors.Join(partErr, part.Close())
	}
	info, statErr := tr.s.Stat(context.Background(), id)
	if statErr == nil && (info.Size != int64(len(data)) || !bytes.Equal(info.Descriptor, descriptorOf(id))) {
		tr.t.Errorf("wrong info: %v", info)
	}
	return errors.Join(err, partErr, statErr, tr.s.Verify(context.Background(), id))
}
