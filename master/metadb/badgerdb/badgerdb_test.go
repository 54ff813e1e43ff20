package badgerdb

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"tdkvs/master/metadb"
	"tdkvs/master/metadb/dbtest"
)

// smallest keeps the logs rotating in tests.
const smallest = 8 << 20

func mustOpen(t testing.TB, dir string, o Options) *DB {
	t.Helper()
	if o.Reserve == 0 {
		o.Reserve = 1 // whatever the machine's disk is like
	}
	db, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // many tests close it themselves
	return db
}

func TestConformance(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, dbtest.Engine{Open: func(t testing.TB, dir string) metadb.DB {
		db, err := Open(dir, Options{Reserve: 1, MemTableSize: smallest})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}})
}

func set(key, value string) func(metadb.Tx) error {
	return func(tx metadb.Tx) error { return tx.Set([]byte(key), []byte(value)) }
}

func expect(t *testing.T, db metadb.DB, key, value string) {
	t.Helper()
	err := db.View(t.Context(), func(tx metadb.Tx) error {
		got, err := tx.Get([]byte(key))
		if err == nil && string(got) != value {
			err = fmt.Errorf("got %q, want %q", got, value)
		}
		return err
	})
	if err != nil {
		t.Errorf("%s: %v", key, err)
	}
}

func TestNoSpace(t *testing.T) {
	t.Parallel()
	var free atomic.Uint64
	free.Store(1 << 30)
	db := mustOpen(t, t.TempDir(), Options{
		Reserve:   1 << 20,
		FreeSpace: func(string) (Room, error) { return Room{Free: free.Load(), Inodes: 1 << 20}, nil },
	})
	recheck := func(f uint64) {
		free.Store(f)
		// The combiner is idle between the Updates of this test.
		db.combiner.space.disk()
	}
	if err := db.Update(t.Context(), set("a", "1")); err != nil {
		t.Fatal(err)
	}
	recheck(1 << 20)
	err := db.Update(t.Context(), set("a", "2"))
	if !errors.Is(err, metadb.ErrNoSpace) || !strings.Contains(err.Error(), "1 MiB free") {
		t.Errorf("Update on a full disk = %v, want ErrNoSpace with what is free", err)
	}
	if err := db.Update(t.Context(), func(tx metadb.Tx) error { _, err := tx.Get([]byte("a")); return err }); err != nil {
		t.Errorf("Update that only reads, on a full disk: %v", err)
	}
	expect(t, db, "a", "1")
	recheck(1 << 30)
	if err := db.Update(t.Context(), set("a", "3")); err != nil {
		t.Errorf("Update once there is room again: %v", err)
	}
	expect(t, db, "a", "3")
}

func TestFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := mustOpen(t, dir, Options{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, formatName)
	if b, err := os.ReadFile(name); err != nil || string(b) != "tdkvs metadata badger 1\n" {
		t.Fatalf("%s holds %q, %v", formatName, b, err)
	}
	for content, want := range map[string]string{
		"tdkvs metadata badger 2\n":  "later release",
		"tdkvs metadata badger x\n":  "unknown format",
		"tdkvs metadata badger 1x\n": "unknown format",
		"":                           "unknown format",
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		before := filesOf(t, dir)
		if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open with %q = %v, want %q", content, err, want)
		}
		if after := filesOf(t, dir); !maps.Equal(before, after) {
			t.Errorf("Open with %q has changed the directory: %d files were there, %d are", content, len(before), len(after))
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "not a tdkvs metadata store") {
		t.Errorf("Open of a foreign Badger directory = %v", err)
	}
}

// TestOpenFailureReleases opens, in vain and then well, in one process.
func TestOpenFailureReleases(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, formatName), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil {
		t.Fatal("junk was opened")
	}
	if err := os.Remove(filepath.Join(dir, formatName)); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir, Options{})
}

// TestSnapshotsAreReleased: one that is not would keep old versions for ever.
func TestSnapshotsAreReleased(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, t.TempDir(), Options{})
	for i := range 10 {
		if err := db.Update(t.Context(), set("a", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		expect(t, db, "a", fmt.Sprint(i))
	}
	db.store.mu.Lock()
	defer db.store.mu.Unlock()
	if len(db.store.reading) != 0 {
		t.Errorf("snapshots still held: %v", db.store.reading)
	}
}
