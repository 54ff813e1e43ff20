package badgerdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tdkvs/master/metadb"
)

// filled makes a store with some tables and a log that was not flushed, as a
// crash leaves it, and returns a copy of its directory.
func filled(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	db := mustOpen(t, dir, Options{MemTableSize: smallest})
	value := bytes.Repeat([]byte("0123456789abcdef"), 512)
	for i := range 600 {
		err := db.Update(t.Context(), func(tx metadb.Tx) error {
			return errors.Join(tx.Set(fmt.Appendf(nil, "a%04d", i), value), tx.Set(fmt.Appendf(nil, "b%04d", i), value))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil { // flushes to a table
		t.Fatal(err)
	}
	db = mustOpen(t, dir, Options{MemTableSize: smallest})
	for i := range 50 {
		if err := db.Update(t.Context(), set(fmt.Sprintf("c%04d", i), fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	return copyDir(t, dir)
}

// copyDir is what a crash at this moment would leave to the next process.
func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(to, e.Name())
		if err := os.WriteFile(name, b[:usedLen(b)], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, int64(len(b))); err != nil { // logs are mostly empty: leave a hole
			t.Fatal(err)
		}
	}
	return to
}

// only returns the one file that matches.
func only(t *testing.T, dir, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	names = slices.DeleteFunc(names, func(name string) bool { // the log that lies ready holds nothing
		info, err := os.Stat(name)
		return err != nil || info.Size() == 0
	})
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	return names[len(names)-1]
}

func rewrite(t *testing.T, name string, change func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b = change(b)
	if err := os.WriteFile(name, b[:usedLen(b)], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, int64(len(b))); err != nil {
		t.Fatal(err)
	}
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 0x10
		return b
	}
}

func TestDamageIsRefused(t *testing.T) {
	t.Parallel()
	pristine := filled(t)
	cases := []struct {
		name, file string
		change     func([]byte) []byte
	}{
		{"first block of a table", "*.sst", flip(100)},
		{"middle of a table", "*.sst", func(b []byte) []byte { return flip(len(b) / 2)(b) }},
		{"index of a table", "*.sst", flip(-200)},
		{"footer of a table", "*.sst", flip(-1)},
		{"table cut short", "*.sst", func(b []byte) []byte { return b[:len(b)-10] }},
		{"table emptied", "*.sst", func([]byte) []byte { return nil }},
		{"first record of the log", "*.mem", flip(logHeader + 6)},
		{"key length in the log", "*.mem", flip(logHeader + 2)},
		{"middle of the log", "*.mem", func(b []byte) []byte { return flip(usedLen(b) / 2)(b) }},
		{"zeros in the middle of the log", "*.mem", func(b []byte) []byte { clear(b[usedLen(b)/2 : usedLen(b)/2+64]); return b }},
		{"magic of MANIFEST", "MANIFEST", flip(0)},
		{"length of MANIFEST's first record", "MANIFEST", func(b []byte) []byte { b[8] = 1; return b }},
		{"length of a record, seeming cut off", "MANIFEST", func(b []byte) []byte { b[8+3] = 0xfe; b[8+2] = 0; return b }},
		{"body of MANIFEST", "MANIFEST", func(b []byte) []byte { return flip(len(b) / 2)(b) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := copyDir(t, pristine)
			name := only(t, dir, c.file)
			rewrite(t, name, c.change)
			db, err := Open(dir, Options{Reserve: 1})
			if err == nil {
				_ = db.Close()
			}
			if !errors.Is(err, metadb.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(name)) {
				t.Errorf("Open = %v, want ErrCorrupt that names %s", err, filepath.Base(name))
			}
		})
	}
	for _, missing := range []string{"*.sst", "MANIFEST"} {
		t.Run("missing "+missing, func(t *testing.T) {
			t.Parallel()
			dir := copyDir(t, pristine)
			if err := os.Remove(only(t, dir, missing)); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir, Options{Reserve: 1}); !errors.Is(err, metadb.ErrCorrupt) {
				t.Errorf("Open = %v, want ErrCorrupt", err)
			}
		})
	}
}

// TestTornEnd: what a crash leaves behind the last commit is no damage.
func TestTornEnd(t *testing.T) {
	t.Parallel()
	pristine := filled(t)
	cases := []struct {
		name   string
		change func([]byte) []byte
		lost   bool // the last transaction
	}{
		{"nothing", func(b []byte) []byte { return b }, false},
		{"last record cut", func(b []byte) []byte { end := usedLen(b); clear(b[end-3 : end]); return b }, true},
		{"last transaction half there", func(b []byte) []byte { end := usedLen(b); clear(b[end-50 : end-40]); return b }, true},
		{"junk behind", func(b []byte) []byte { copy(b[usedLen(b)+100:], "junk"); return b }, false},
		{"cut right behind", func(b []byte) []byte { return b[:usedLen(b)+1] }, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := copyDir(t, pristine)
			rewrite(t, only(t, dir, "*.mem"), c.change)
			db := mustOpen(t, dir, Options{})
			expect(t, db, "a0000", strings.Repeat("0123456789abcdef", 512))
			expect(t, db, "c0048", "48")
			if !c.lost {
				expect(t, db, "c0049", "49")
			}
			if err := db.Update(t.Context(), set("after", "1")); err != nil {
				t.Error(err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			db = mustOpen(t, dir, Options{})
			expect(t, db, "after", "1")
		})
	}
	t.Run("manifest", func(t *testing.T) {
		t.Parallel()
		dir := copyDir(t, pristine)
		rewrite(t, filepath.Join(dir, "MANIFEST"), func(b []byte) []byte { return append(b, 0, 0, 0, 40, 1, 2, 3, 4, 5) })
		expect(t, mustOpen(t, dir, Options{}), "c0049", "49")
	})
}

// TestAnyFlip turns bytes all over the files: a store that still opens must not
// show a wrong value, and must have lost nothing but the last transaction.
func TestAnyFlip(t *testing.T) {
	t.Parallel()
	pristine := filled(t)
	for _, pattern := range []string{"*.mem", "MANIFEST"} {
		b, err := os.ReadFile(only(t, pristine, pattern))
		if err != nil {
			t.Fatal(err)
		}
		end := usedLen(b)
		for at := 0; at < end; at += 1 + end/10 {
			dir := copyDir(t, pristine)
			rewrite(t, only(t, dir, pattern), flip(at))
			db, err := Open(dir, Options{Reserve: 1})
			if err != nil {
				continue
			}
			expect(t, db, "a0000", strings.Repeat("0123456789abcdef", 512))
			for i := range 49 {
				expect(t, db, fmt.Sprintf("c%04d", i), fmt.Sprint(i))
			}
			if t.Failed() {
				t.Fatalf("%s opens with byte %d of %d flipped", pattern, at, end)
			}
			if err := db.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	}
}

// FuzzLog feeds the log parser: it must not panic nor read outside.
func FuzzLog(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0x40, 0, 9, 1, 0, 1, 2, 3}, 20))
	f.Add([]byte{0x40, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, _, _ := record(b); n < 0 || n > len(b) {
			t.Errorf("a record of %d bytes in %d", n, len(b))
		}
		body, _, ok := cutChecksum(b)
		if ok && len(body) > len(b) {
			t.Error("a body longer than its block")
		}
		_, _ = verifyBlock(b, 2, nil)
	})
}

// TestUsedLen looks at each length around the step in which zeros are skipped.
func TestUsedLen(t *testing.T) {
	t.Parallel()
	for _, used := range []int{0, 1, 4095, 4096, 4097, 10000} {
		for _, zeros := range []int{0, 1, 4095, 4096, 4097, 9000} {
			b := append(bytes.Repeat([]byte{7}, used), make([]byte, zeros)...)
			if got := usedLen(b); got != used {
				t.Errorf("%d bytes and %d zeros: %d", used, zeros, got)
			}
		}
	}
}

// TestRecordsEndingInZeros fills logs until, among the many checksums, some at
// the end of a log are zero: that must never look like damage.
func TestRecordsEndingInZeros(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	header := make([]byte, logHeader)
	found := 0
	for ts := uint64(1); found < 3 && ts < 100_000; ts++ {
		key := binary.BigEndian.AppendUint64([]byte("!badger!txn"), math.MaxUint64-ts)
		rec := append([]byte{bitFinTxn, 0, byte(len(key)), 1, 0}, key...)
		rec = append(rec, '1')
		rec = binary.BigEndian.AppendUint32(rec, crc32.Checksum(rec, castagnoli))
		if rec[len(rec)-1] != 0 {
			continue
		}
		found++
		log := append(append(append([]byte{}, header...), rec...), make([]byte, 8192)...)
		name := filepath.Join(dir, fmt.Sprintf("%05d.mem", ts))
		if err := os.WriteFile(name, log, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := verifyLog(name, false); err != nil {
			t.Errorf("timestamp %d: %v", ts, err)
		}
	}
	if found == 0 {
		t.Error("no such record came up")
	}
}
