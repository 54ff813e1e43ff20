package badgerdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"tdkvs/master/metadb"
)

// synced looks for commits in the log that was synced for them.
type synced struct {
	db     *DB
	number int    // commits so far
	log    string // of the last one
	at     int64  // where it is in it
}

// commit makes a commit, and fails where the log that was synced for it does not hold it.
func (s *synced) commit(t *testing.T) {
	t.Helper()
	s.number++
	value := append(fmt.Appendf(nil, "commit %08d ", s.number), bytes.Repeat([]byte{'.'}, 60<<10)...)
	if err := s.db.Update(t.Context(), func(tx metadb.Tx) error { return tx.Set(fmt.Appendf(nil, "%08d", s.number), value) }); err != nil {
		t.Fatal(err)
	}
	if log := s.db.store.log.file.Name(); log != s.log {
		s.log, s.at = log, 0
	}
	f, err := os.Open(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	held := make([]byte, 3*len(value)) // the commit before, and this one
	n, err := f.ReadAt(held, s.at)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	at := bytes.Index(held[:n], value)
	if at < 0 {
		t.Fatalf("commit %d is acknowledged, and %s, which was synced for it, does not hold it", s.number, s.log)
	}
	s.at += int64(at)
}

// TestSyncedLog: the log that is synced for a commit is the one that holds it, also when
// Badger turns to another, and when it was closed and opened again in between.
func TestSyncedLog(t *testing.T) {
	t.Parallel()
	s := &synced{db: mustOpen(t, t.TempDir(), Options{MemTableSize: smallest})}
	for logs := map[string]bool{}; len(logs) < 4; logs[s.log] = true {
		if s.commit(t); s.number > 1000 {
			t.Fatalf("%d commits, and only %d logs", s.number, len(logs))
		}
	}
	done, err := s.db.store.reopen(s.db.keeper.open)
	if !done || err != nil {
		t.Fatal(done, err)
	}
	s.log = ""
	s.commit(t)
}

// TestLogNotSynced: a commit whose log can not be synced fails, and so does all after it.
func TestLogNotSynced(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, t.TempDir(), Options{})
	if err := db.Update(t.Context(), set("before", "1")); err != nil {
		t.Fatal(err)
	}
	if err := db.store.log.file.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := db.Update(t.Context(), set("k", "v")); !errors.Is(err, metadb.ErrFailed) {
			t.Fatalf("Update = %v, want ErrFailed", err)
		}
	}
	err := db.View(t.Context(), func(tx metadb.Tx) error {
		_, err := tx.Get([]byte("k"))
		return err
	})
	if !errors.Is(err, metadb.ErrNotFound) {
		t.Fatalf("a commit that was not synced is seen: %v", err)
	}
}
