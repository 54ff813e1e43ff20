package badgerdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tdkvs/master/metadb"
)

// smallDisk mounts a file system in memory of so many MiB.
func smallDisk(t *testing.T, mib int, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm%s", mib, options)); err != nil {
		t.Skipf("NOT TESTED: a file system in memory can not be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fillDisk takes all space of a disk but so many bytes, at once, as another process may.
func fillDisk(t *testing.T, disk string, but int64) (empty func()) {
	t.Helper()
	name := filepath.Join(disk, fmt.Sprintf("filler-%d", time.Now().UnixNano()))
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var size int64
	for range 3 { // what others give back meanwhile, too
		room, err := statfs(disk)
		if err != nil {
			t.Fatal(err)
		}
		grow := int64(room.Free) - but
		if grow <= 0 {
			break
		}
		if err := unix.Fallocate(int(f.Fd()), 0, size, grow); err != nil && !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
		size += grow
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

func remove(key string) func(metadb.Tx) error {
	return func(tx metadb.Tx) error { return tx.Delete([]byte(key)) }
}

// upkeep makes updates of upkeep until one is refused, and returns how many.
func upkeep(t *testing.T, db *DB, most int) int {
	t.Helper()
	ctx := metadb.Upkeep(t.Context())
	value := bytes.Repeat([]byte("0123456789abcdef"), 256)
	for i := range most {
		err := db.Update(ctx, func(tx metadb.Tx) error { return tx.Set(fmt.Appendf(nil, "upkeep/%06d", i), value) })
		if errors.Is(err, metadb.ErrNoSpace) {
			return i
		}
		if err != nil {
			t.Fatalf("update %d: %v", i, err)
		}
	}
	return most
}

// compacts reports that tables are compacted, as they are not after a start without room.
func compacts(db *DB) bool {
	db.store.gate.RLock()
	defer db.store.gate.RUnlock()
	return db.store.bdb.Opts().NumCompactors > 0
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func writes(db *DB) bool { return db.Update(context.Background(), set("again", "1")) == nil }

// TestFullDisk fills the disk of a store to the last byte, at once. Writes through
// Badger's maps would end the process: the logs have their blocks. Upkeep goes on in
// them, reads do, a start does, and writes come back.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 256, "")
	dir := filepath.Join(disk, "meta")
	o := Options{Reserve: 32 << 20, MemTableSize: smallest}
	db := mustOpen(t, dir, o)
	if err := db.Update(t.Context(), set("kept", "1")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "room for the next log", func() bool { return db.Update(t.Context(), set("kept", "1")) == nil && db.space.spare.Load() })
	empty := fillDisk(t, disk, 0)
	db.space.disk()
	if err := db.Update(t.Context(), set("new", "1")); !errors.Is(err, metadb.ErrNoSpace) {
		t.Errorf("Update on a full disk: %v, want ErrNoSpace", err)
	}
	if n := upkeep(t, db, 10_000); n < 500 || n == 10_000 {
		t.Errorf("%d updates of upkeep of 4 KiB went into the log of %d MiB, on a full disk", n, smallest>>20)
	}
	expect(t, db, "kept", "1")
	if d := db.Disk(); d.State != metadb.DiskStuffed || d.Reason == "" {
		t.Errorf("a full disk is said to be %+v", d)
	}
	for range 3 { // each start writes what the logs hold to a table, and needs room for that
		if err := db.Close(); err != nil {
			t.Errorf("close on a full disk: %v", err)
		}
		empty2 := fillDisk(t, disk, 0)
		db = mustOpen(t, dir, o)
		expect(t, db, "kept", "1")
		expect(t, db, "upkeep/000000", string(bytes.Repeat([]byte("0123456789abcdef"), 256)))
		if err := db.Update(t.Context(), set("new", "1")); !errors.Is(err, metadb.ErrNoSpace) {
			t.Errorf("Update after a start on a full disk: %v, want ErrNoSpace", err)
		}
		eventually(t, "upkeep after a start on a full disk", func() bool { return db.Update(metadb.Upkeep(t.Context()), remove("upkeep/000001")) == nil })
		defer empty2()
	}
	empty()
	eventually(t, "writes once there is room", func() bool { return writes(db) })
	eventually(t, "compactions once there is room", func() bool { return compacts(db) })
	expect(t, db, "kept", "1")
	expect(t, db, "again", "1")
}

// TestNoInodes leaves no room for another file.
func TestNoInodes(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 512, ",nr_inodes=1000")
	dir := filepath.Join(disk, "meta")
	o := Options{Reserve: 32 << 20, MemTableSize: smallest}
	db := mustOpen(t, dir, o)
	eventually(t, "room for a start", func() bool { return db.Update(t.Context(), set("kept", "1")) == nil && db.space.spare.Load() })
	others := filepath.Join(disk, "others")
	use := func() {
		if err := os.MkdirAll(others, 0o700); err != nil {
			return // there is nothing left
		}
		for i := 0; ; i++ {
			f, err := os.Create(filepath.Join(others, fmt.Sprint(time.Now().UnixNano(), i)))
			if err != nil {
				return
			}
			_ = f.Close() // empty
		}
	}
	use()
	db.space.disk()
	if err := db.Update(t.Context(), set("new", "1")); !errors.Is(err, metadb.ErrNoSpace) {
		t.Errorf("Update without inodes: %v, want ErrNoSpace", err)
	}
	if n := upkeep(t, db, 10_000); n < 500 || n == 10_000 {
		t.Errorf("%d updates of upkeep of 4 KiB, without inodes", n)
	}
	expect(t, db, "kept", "1")
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	use()
	db = mustOpen(t, dir, o)
	expect(t, db, "kept", "1")
	if err := os.RemoveAll(others); err != nil {
		t.Fatal(err)
	}
	eventually(t, "writes once there are inodes", func() bool { return writes(db) })
	eventually(t, "compactions once there are inodes", func() bool { return compacts(db) })
	expect(t, db, "kept", "1")
}
