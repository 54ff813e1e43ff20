package badgerdb

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tdkvs/master/metadb"
)

// filesOf are the names in a directory, with what is in the files.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = fmt.Sprint(info.ModTime(), len(b), string(b))
	}
	return files
}

func wantKeys(t *testing.T, db metadb.DB, n int) {
	t.Helper()
	for i := range n {
		expect(t, db, fmt.Sprintf("key%05d", i), strings.Repeat("v", i%3000))
	}
}

// TestReadOnly: what a clean stop and what a crash leaves is shown whole, and not a
// byte of it is changed.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := mustOpen(t, dir, Options{MemTableSize: smallest})
	const n = 9000 // more than a memtable
	for i := 0; i < n; i += 90 {
		err := db.Update(t.Context(), func(tx metadb.Tx) (err error) {
			for k := i; k < i+90 && err == nil; k++ {
				err = set(fmt.Sprintf("key%05d", k), strings.Repeat("v", k%3000))(tx)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the full memtable is a table", func() bool { // its log goes then, and not amid the copy
		all, err := logs(dir)
		if err != nil {
			t.Fatal(err)
		}
		made, err := madeLogs(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(made) == 1 && made[0] == all[0] // one that goes loses its length first, then its name
	})
	killed := copyDir(t, dir)
	if _, err := OpenReadOnly(dir, Options{}); !errors.Is(err, metadb.ErrLocked) {
		t.Errorf("beside a process that has it open: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"closed": dir, "killed": killed} {
		before := filesOf(t, dir)
		db, err := OpenReadOnly(dir, Options{MemTableSize: smallest})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantKeys(t, db, n)
		if err := db.Update(t.Context(), set("a", "b")); !errors.Is(err, metadb.ErrFailed) {
			t.Errorf("%s: update: %v", name, err)
		}
		if _, err := Open(dir, Options{}); !errors.Is(err, metadb.ErrLocked) {
			t.Errorf("%s: a second process: %v", name, err)
		}
		shadow := db.shadow
		if err := db.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(shadow); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %s stays: %v", name, shadow, err)
		}
		if !maps.Equal(before, filesOf(t, dir)) {
			t.Errorf("%s: something has changed", name)
		}
		wantKeys(t, mustOpen(t, dir, Options{MemTableSize: smallest}), n)
	}
}

// TestReadOnlyRefuses: no store, and a damaged one.
func TestReadOnlyRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := OpenReadOnly(dir, Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory: %v", err)
	}
	if files := filesOf(t, dir); len(files) != 0 {
		t.Errorf("it has made %v", files)
	}
	db := mustOpen(t, dir, Options{})
	if err := db.Update(t.Context(), set("a", "1")); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	b, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	b[10] ^= 1
	if err := os.WriteFile(tables[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReadOnly(dir, Options{}); !errors.Is(err, metadb.ErrCorrupt) || !strings.Contains(err.Error(), tables[0]) {
		t.Errorf("a damaged table: %v", err)
	}
}
