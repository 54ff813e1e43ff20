package volume_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// clock is a clock that stands until it is moved.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// openReserved opens a store on a disk of so many bytes that keeps a reserve; what a
// measurement holds for passes as the clock advances.
func openReserved(t *testing.T, capacity, reserve int64) (*volume.Store, *vfs.Mem, *clock) {
	t.Helper()
	mem, c := vfs.NewMem(), new(clock)
	mem.SetCapacity(capacity)
	c.advance(time.Hour)
	cfg := small(mem)
	cfg.Reserve, cfg.Clock = reserve, c.now
	return open(t, cfg), mem, c
}

// TestReserve fills a disk to its reserve, and gives the space back.
func TestReserve(t *testing.T) {
	t.Parallel()
	const capacity, reserve = 4 << 20, 1 << 20
	s, mem, c := openReserved(t, capacity, reserve)
	var stored []int
	for n := 0; ; n++ {
		id, data := blob(n, []int{3000, 20_000}[n%2])
		err := put(t.Context(), s, id, data)
		c.advance(10 * time.Millisecond)
		if errors.Is(err, volume.ErrNoSpace) {
			expectGone(t, s, id)
			break
		}
		if err != nil || n > 1000 {
			t.Fatalf("put %d: %v", n, err)
		}
		stored = append(stored, n)
	}
	st := status(t, s)
	if st.Free < reserve*9/10 || st.Free > reserve*3/2 || st.Reserve != reserve || st.Capacity != capacity {
		t.Errorf("refused with %d bytes free of %d, reserve %d", st.Free, st.Capacity, st.Reserve)
	}
	// What frees space goes on working.
	mustDelete(t, s, stored...)
	compactAll(t, s)
	mustSeal(t, s)
	compactAll(t, s)
	mustPut2(t, s, 2000, 3000)
	mustPut2(t, s, 2001, 20_000)
	// Others fill the disk, and stop.
	mem.SetCapacity(reserve)
	c.advance(2 * time.Second)
	id, data := blob(2002, 100)
	if err := put(t.Context(), s, id, data); !errors.Is(err, volume.ErrNoSpace) {
		t.Errorf("put on a disk that others filled: %v", err)
	}
	if !status(t, s).Full {
		t.Error("status does not say that the volume is full")
	}
	mem.SetCapacity(capacity)
	mustPut(t, s, id, data)
	if status(t, s).Full {
		t.Error("status says that the volume is full still")
	}
	checkStore(t, s)
	closeStore(t, s)
}

// TestDiskFull runs without a reserve into the end of the disk. Nothing is
// lost, nothing becomes read-only, and the store works on when space is freed.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	mem.SetCapacity(2 << 20)
	s := open(t, small(mem))
	l := newLedger()
	refusals := 0
	for n := range 400 {
		id, data := blob(n, []int{100, 4000, 9000, 60_000}[n%4])
		err := l.put(t.Context(), s, id, data)
		if errors.Is(err, volume.ErrNoSpace) {
			l.set(id, refused)
			refusals++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refusals < 100 {
		t.Fatalf("only %d of 400 puts were refused", refusals)
	}
	l.check(t, s)
	crash := open(t, small(mem.CrashClone()))
	l.check(t, crash)
	closeStore(t, crash)
	mem.SetCapacity(4 << 20)
	id, data := blob(1000, 4000)
	if err := l.put(t.Context(), s, id, data); err != nil {
		t.Errorf("put when there is space again: %v", err)
	}
	l.check(t, s)
	closeStore(t, s)
}

// TestEmptyStoreIsSmall opens a store and asks what it takes of the disk.
func TestEmptyStoreIsSmall(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	mem.SetCapacity(1 << 30)
	s := open(t, volume.Config{FS: mem, Dir: dir})
	before := status(t, s)
	if used := before.Capacity - before.Free; used > 64<<10 {
		t.Errorf("an empty store takes %d bytes", used)
	}
	if before.Reserve != 1<<30/10 { // 256 MiB would be too much of this disk
		t.Errorf("reserve of %d bytes on a disk of 1 GiB", before.Reserve)
	}
	mustPut2(t, s, 1, 10)
	closeStore(t, s)
	space, err := mem.Space(dir)
	if err != nil {
		t.Fatal(err)
	}
	if used := before.Capacity - space.Free; used > 64<<10 {
		t.Errorf("a store of one small blob takes %d bytes when closed", used)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	for _, cfg := range []volume.Config{
		{},
		{FS: mem},
		{Dir: dir},
		{FS: mem, Dir: dir, SmallLimit: -1},
		{FS: mem, Dir: dir, SmallLimit: 9 << 20},
		{FS: mem, Dir: dir, SegmentSize: 1 << 20},
		{FS: mem, Dir: dir, SegmentSize: 2 << 30},
		{FS: mem, Dir: dir, PreallocateStep: -1},
		{FS: mem, Dir: dir, WriteOutStep: -1},
		{FS: mem, Dir: dir, CompactRatio: 1.5},
	} {
		if s, err := volume.Open(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
			closeStore(t, s)
		}
	}
}

// TestReserveForMetadata: at its reserve a volume takes snapshots of the metadata, at
// half of it not even those, and commits, without which no deletion can be recorded,
// until the disk is full.
func TestReserveForMetadata(t *testing.T) {
	t.Parallel()
	const capacity, reserve = 8 << 20, 2 << 20
	s, mem, c := openReserved(t, capacity, reserve)
	fill := func(name string, id func(n int) volume.BlobID) (free uint64) {
		for n := range 10_000 {
			_, data := blob(n, 3000)
			c.advance(2 * time.Second) // so that each is measured for
			if err := put(t.Context(), s, id(n), data); errors.Is(err, volume.ErrNoSpace) {
				return status(t, s).Free
			} else if err != nil {
				t.Fatalf("%s %d: %v", name, n, err)
			}
		}
		t.Fatalf("%s are never refused", name)
		return 0
	}
	ordinary := func(n int) volume.BlobID { id, _ := blob(n, 3000); return id }
	if free := fill("blobs", ordinary); free < reserve*9/10 {
		t.Errorf("blobs are refused with %d bytes free, reserve %d", free, reserve)
	}
	free := fill("chunks", func(n int) volume.BlobID { return volume.MetadataID(volume.MetadataChunk, 1, uint32(n)) })
	if free > reserve*7/10 || free < reserve/2*9/10 {
		t.Errorf("chunks are refused with %d bytes free, reserve %d", free, reserve)
	}
	if free := fill("commits", func(n int) volume.BlobID { return volume.MetadataID(volume.MetadataEntry, uint64(n), 0) }); free > 16<<10 {
		t.Errorf("commits are refused with %d bytes free", free)
	}
	checkStore(t, s)
	mem.SetCapacity(2 * capacity)
	c.advance(2 * time.Second)
	mustPut2(t, s, 20_000, 3000)
}
