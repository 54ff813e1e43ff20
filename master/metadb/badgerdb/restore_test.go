package badgerdb

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"tdkvs/master/metadb"
	"tdkvs/master/metadb/dbtest"
)

// restorerEnv turns the test binary into the process that TestRestoreKilled kills.
const restorerEnv = "TDKVS_BADGERDB_RESTORE_TO"

const (
	restoredRows    = 3000
	restoredCommits = 100
)

// restored is what fill leaves, by key.
func restored() map[string]string {
	rows := map[string]string{}
	for i := range restoredRows {
		rows[fmt.Sprintf("row/%05d", i)] = strings.Repeat("v", 2000)
	}
	for i := range restoredCommits {
		rows[fmt.Sprintf("row/%05d", 7*i)] = fmt.Sprint("changed ", i)
		rows[fmt.Sprintf("commit/%d", i)] = ""
		delete(rows, fmt.Sprintf("row/%05d", 11*i+3))
	}
	delete(rows, "row/00001")
	return rows
}

const (
	restoredState = 1000                                // the number of the state that fill begins with
	restoredLast  = restoredState + restoredCommits + 9 // that of the last commit, which deletes only
)

// fill restores a state, commits on top of it, and one that leaves nothing behind.
func fill(r *Restore) error {
	errs := []error{r.At(restoredState)}
	value := bytes.Repeat([]byte("v"), 2000)
	for i := range restoredRows {
		errs = append(errs, r.Set(fmt.Appendf(nil, "row/%05d", i), value))
	}
	for i := range restoredCommits {
		errs = append(errs, r.At(restoredState+1+uint64(i)), r.Set(fmt.Appendf(nil, "row/%05d", 7*i), fmt.Appendf(nil, "changed %d", i)),
			r.Set(fmt.Appendf(nil, "commit/%d", i), nil), r.Delete(fmt.Appendf(nil, "row/%05d", 11*i+3)))
	}
	return errors.Join(append(errs, r.At(restoredLast), r.Delete([]byte("row/00001")))...)
}

func mustRestore(t *testing.T, dir string, o Options) {
	t.Helper()
	r, err := NewRestore(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(fill(r), r.Commit()); err != nil {
		t.Fatal(err)
	}
}

// isRestored fails unless a store holds what fill leaves, and goes on behind it.
func isRestored(t *testing.T, dir string) {
	t.Helper()
	db := mustOpen(t, dir, Options{MemTableSize: smallest})
	got := map[string]string{}
	err := db.View(t.Context(), func(tx metadb.Tx) error {
		return tx.Scan(nil, nil, func(k, v []byte) (bool, error) {
			got[string(k)] = string(v)
			return true, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := restored(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%d rows, want %d, or others", len(got), len(want))
	}
	if db.store.committed != restoredLast {
		t.Errorf("the newest commit is %d, want %d", db.store.committed, restoredLast)
	}
	if err := db.Update(t.Context(), set("next", "1")); err != nil {
		t.Fatal(err)
	}
	expect(t, db, "next", "1")
	if db.store.committed != restoredLast+1 {
		t.Errorf("the commit after it is %d, want %d", db.store.committed, restoredLast+1)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir + unfinished); err == nil {
		t.Errorf("%s is still there", dir+unfinished)
	}
}

func TestRestore(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int64{"smallest memtable": smallest, "default memtable": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "meta")
			mustRestore(t, dir, Options{MemTableSize: size})
			isRestored(t, dir)
		})
	}
}

// TestRestoreContract holds a store that was restored to the whole contract.
func TestRestoreContract(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, dbtest.Engine{Open: func(t testing.TB, dir string) metadb.DB {
		t.Helper()
		if _, err := os.Stat(filepath.Join(dir, formatName)); err != nil {
			r, err := NewRestore(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(r.At(5), r.Set([]byte("a"), nil), r.At(1<<40), r.Delete([]byte("a")), r.Commit()); err != nil {
				t.Fatal(err)
			}
		}
		return mustOpen(t, dir, Options{})
	}})
}

// TestRestoreFull: a disk that fills up ends a restore before Badger notices.
func TestRestoreFull(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "meta")
	var free atomic.Uint64
	free.Store(10 << 30)
	r, err := NewRestore(dir, Options{FreeSpace: func(string) (Room, error) {
		return Room{Free: free.Add(^uint64(1<<30 - 1)), Total: 10 << 30, Inodes: 1 << 20}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	err = r.At(1)
	for i := 0; err == nil && i < 5000; i++ {
		err = r.Set(fmt.Appendf(nil, "%05d", i), make([]byte, 20<<10))
	}
	if !errors.Is(err, metadb.ErrNoSpace) || !errors.Is(r.Commit(), metadb.ErrNoSpace) {
		t.Errorf("%v, want ErrNoSpace", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) > 0 {
		t.Errorf("it leaves %v, %v", entries, err)
	}
}

// TestRestorePlace restores where there is something: what is as good as nothing gives way, and all else is refused.
func TestRestorePlace(t *testing.T) {
	t.Parallel()
	file := func(name string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, dir string)
		holds   string // what the refusal names; empty: there is none
	}{
		"missing":   {prepare: func(*testing.T, string) {}},
		"empty":     {prepare: func(t *testing.T, dir string) { file("x")(t, dir); _ = os.Remove(filepath.Join(dir, "x")) }},
		"endpoint":  {prepare: file("endpoint")},
		"lock":      {prepare: file(lockName)},
		"format":    {prepare: file(formatName)},
		"else":      {prepare: file("notes"), holds: "notes"},
		"directory": {prepare: func(t *testing.T, dir string) { _ = os.MkdirAll(filepath.Join(dir, "endpoint"), 0o700) }, holds: "endpoint"},
		"store":     {prepare: func(t *testing.T, dir string) { _ = mustOpen(t, dir, Options{}).Close() }, holds: "0"},
		"link": {prepare: func(t *testing.T, dir string) {
			_ = os.Mkdir(dir+".real", 0o700)
			_ = os.Symlink(dir+".real", dir)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "meta")
			tc.prepare(t, dir)
			r, err := NewRestore(dir, Options{}, "endpoint")
			if tc.holds != "" {
				if !errors.Is(err, ErrNotEmpty) || !strings.Contains(err.Error(), "holds "+tc.holds) || !strings.Contains(err.Error(), "rename it first") {
					t.Errorf("NewRestore = %v, want ErrNotEmpty for %s", err, tc.holds)
				}
				if _, err := os.Stat(dir + unfinished); err == nil {
					t.Error("a refusal leaves a directory behind")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(fill(r), r.Commit()); err != nil {
				t.Fatal(err)
			}
			isRestored(t, dir)
		})
	}
}

// TestRestoreMisuse: each refuses, and leaves nothing.
func TestRestoreMisuse(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(r *Restore, dir string) error{
		"nothing":         func(*Restore, string) error { return nil },
		"of no commit":    func(r *Restore, _ string) error { return r.Set([]byte("a"), nil) },
		"commit 0":        func(r *Restore, _ string) error { return r.At(0) },
		"falling numbers": func(r *Restore, _ string) error { return errors.Join(r.At(5), r.At(4)) },
		"same number":     func(r *Restore, _ string) error { return errors.Join(r.At(5), r.At(5)) },
		"too large": func(r *Restore, _ string) error {
			return errors.Join(r.At(5), r.Set([]byte("a"), make([]byte, 8*badgerOptions("", Options{}.withDefaults()).MemTableSize)))
		},
		"something came": func(r *Restore, dir string) error {
			return errors.Join(r.At(5), os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "MANIFEST"), nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "meta")
			r, err := NewRestore(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			_ = do(r, dir)
			if err := r.Commit(); err == nil {
				t.Error("Commit has succeeded")
			}
			if _, err := os.Stat(dir + unfinished); err == nil {
				t.Error("something is left")
			}
			if entries, _ := os.ReadDir(dir); len(entries) > 0 && name != "something came" {
				t.Errorf("%s holds %v", dir, entries)
			}
		})
	}
}

func TestRestoreLocked(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "meta")
	r, err := NewRestore(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewRestore(dir, Options{}); !errors.Is(err, metadb.ErrLocked) {
		t.Errorf("a second restore = %v, want ErrLocked", err)
	}
	if err := r.Abandon(); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) > 0 {
		t.Errorf("an abandoned restore leaves %v, %v", entries, err)
	}
	mustRestore(t, dir, Options{})
	isRestored(t, dir)
}

// TestRestoreKilled kills restores at random moments: either there is nothing, or all of it.
func TestRestoreKilled(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 3))
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	dir := filepath.Join(t.TempDir(), "meta")
	kills, whole := 0, 0
	for round := 0; kills < rounds || whole == 0; round++ {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), restorerEnv+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if kills < rounds {
			time.Sleep(time.Duration(rnd.IntN(150)) * time.Millisecond)
			_ = cmd.Process.Kill()
		}
		err := cmd.Wait()
		if _, missing := os.Stat(dir); missing != nil {
			if err == nil {
				t.Fatal("a restore has ended well, and there is no store")
			}
			kills++
			continue
		}
		whole++
		isRestored(t, dir)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if round > 10*rounds {
			break
		}
	}
	t.Logf("%d killed, %d whole", kills, whole)
}

// restoreTo is the process that TestRestoreKilled kills.
func restoreTo(dir string) error {
	r, err := NewRestore(dir, Options{MemTableSize: smallest})
	if err != nil {
		return err
	}
	return errors.Join(fill(r), r.Commit())
}

// TestNumbersAreNotUsedTwice: a commit that only deletes is nowhere in Badger's tables any more after a compaction, and has
// its number all the same.
func TestNumbersAreNotUsedTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := mustOpen(t, dir, Options{MemTableSize: smallest})
	keys := []string{"a", "b", "c"}
	for _, k := range keys {
		if err := db.Update(t.Context(), set(k, "1")); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range keys {
		if err := db.Update(t.Context(), func(tx metadb.Tx) error { return tx.Delete([]byte(k)) }); err != nil {
			t.Fatal(err)
		}
	}
	newest := db.store.committed
	for range 2 {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		compactAll(t, dir)
		db = mustOpen(t, dir, Options{MemTableSize: smallest})
		if db.store.committed != newest {
			t.Fatalf("the newest commit is %d, it was %d", db.store.committed, newest)
		}
	}
}

// compactAll has a closed store drop all that nobody can read any more.
func compactAll(t *testing.T, dir string) {
	t.Helper()
	opt := badgerOptions(dir, Options{}.withDefaults())
	opt.CompactL0OnClose = true
	bdb, err := badger.OpenManaged(opt)
	if err != nil {
		t.Fatal(err)
	}
	bdb.SetDiscardTs(bdb.MaxVersion())
	if err := bdb.Close(); err != nil {
		t.Fatal(err)
	}
	if tables, err := filepath.Glob(filepath.Join(dir, "*.sst")); err != nil || len(tables) == 0 {
		t.Errorf("tables %v, %v", tables, err)
	}
}
