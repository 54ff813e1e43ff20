package badgerdb

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestUnmadeLog opens a store whose process was killed while Badger was making a
// log, between the making of its name, of its length, and of its header; or
// removing one, which it cuts to nothing first.
func TestUnmadeLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file   string
		length int
	}{
		{"00099.mem", 0},
		{"00099.mem", logHeader / 2},
		{"00099.mem", 2 * smallest},
		{"000099.vlog", 0},
		{"000099.vlog", 2 << 20},
	} {
		t.Run(fmt.Sprint(c.file, " of ", c.length), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			db := mustOpen(t, dir, Options{MemTableSize: smallest})
			if err := db.Update(t.Context(), set("kept", "1")); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, c.file), make([]byte, c.length), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // what Badger makes of it must open again, too
				db = mustOpen(t, dir, Options{MemTableSize: smallest})
				expect(t, db, "kept", "1")
				if err := db.Update(t.Context(), set("new", "2")); err != nil {
					t.Fatal(err)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
			db = mustOpen(t, dir, Options{MemTableSize: smallest})
			expect(t, db, "new", "2")
		})
	}
}
