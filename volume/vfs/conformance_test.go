package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// The contract of FS, for every implementation alike.

type fixture struct {
	fs  FS
	dir string // an empty directory
}

func (f fixture) path(elements ...string) string {
	return filepath.Join(append([]string{f.dir}, elements...)...)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	systems := map[string]func(*testing.T) fixture{
		"OS":     func(t *testing.T) fixture { return fixture{OS(), t.TempDir()} },
		"Mem":    func(*testing.T) fixture { return fixture{NewMem(), "/"} },
		"Faulty": func(*testing.T) fixture { return fixture{NewFaulty(NewMem(), Plan{Trace: true}), "/"} },
	}
	tests := map[string]func(*testing.T, fixture){
		"Create":          testCreate,
		"Open":            testOpen,
		"ReadWrite":       testReadWrite,
		"Truncate":        testTruncate,
		"Allocate":        testAllocate,
		"WriteOut":        testWriteOut,
		"Rename":          testRename,
		"Remove":          testRemove,
		"OpenAfterRemove": testOpenAfterRemove,
		"MkdirAll":        testMkdirAll,
		"ReadDir":         testReadDir,
		"SyncDir":         testSyncDir,
		"Lock":            testLock,
		"Space":           testSpace,
		"Closed":          testClosed,
		"Concurrent":      testConcurrent,
		"WriteFileAtomic": testWriteFileAtomic,
	}
	for system, open := range systems {
		for name, test := range tests {
			t.Run(system+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, open(t))
			})
		}
	}
}

func mustCreate(t *testing.T, fsys FS, name string, data []byte) File {
	t.Helper()
	f, err := fsys.Create(name)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	t.Cleanup(func() { _ = f.Close() }) // a test may have closed it
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatalf("write: %v", err)
	}
	return f
}

func mustClose(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func expectFile(t *testing.T, fsys FS, name string, want []byte) {
	t.Helper()
	got, err := ReadFile(fsys, name)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s holds %d bytes %.40q, want %d bytes %.40q", name, len(got), got, len(want), want)
	}
}

func expectError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func testCreate(t *testing.T, f fixture) {
	file := mustCreate(t, f.fs, f.path("a"), []byte("abc"))
	if file.Name() != f.path("a") {
		t.Errorf("name %q, want %q", file.Name(), f.path("a"))
	}
	_, err := f.fs.Create(f.path("a"))
	expectError(t, "create of a taken name", err, fs.ErrExist)
	_, err = f.fs.Create(f.path("no", "a"))
	expectError(t, "create in no directory", err, fs.ErrNotExist)
	info, err := f.fs.Stat(f.path("a"))
	if err != nil || info.Name() != "a" || info.Size() != 3 || info.IsDir() || info.Mode().Perm() != 0o600 {
		t.Errorf("stat: %v, %v", info, err)
	}
	if info != nil && info.ModTime().IsZero() {
		t.Error("stat: no modification time")
	}
}

func testOpen(t *testing.T, f fixture) {
	mustClose(t, mustCreate(t, f.fs, f.path("a"), []byte("abc")))
	_, err := f.fs.Open(f.path("b"))
	expectError(t, "open of no file", err, fs.ErrNotExist)
	_, err = f.fs.OpenRead(f.path("b"))
	expectError(t, "open of no file", err, fs.ErrNotExist)
	reader, err := f.fs.OpenRead(f.path("a"))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if _, err := reader.WriteAt([]byte("x"), 0); err == nil {
		t.Error("write to a file open for reading")
	}
	mustClose(t, reader)
	writer, err := f.fs.Open(f.path("a"))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if _, err := writer.WriteAt([]byte("X"), 1); err != nil {
		t.Errorf("write: %v", err)
	}
	mustClose(t, writer)
	expectFile(t, f.fs, f.path("a"), []byte("aXc"))
}

func testReadWrite(t *testing.T, f fixture) {
	file := mustCreate(t, f.fs, f.path("a"), nil)
	model := []byte{}
	for i, w := range []struct{ off, n int }{{0, 10}, {5, 10}, {4090, 12}, {9000, 5000}, {100, 9000}, {8191, 1}, {20_000, 0}} {
		data := bytes.Repeat([]byte{byte('a' + i)}, w.n)
		if n, err := file.WriteAt(data, int64(w.off)); n != w.n || err != nil {
			t.Fatalf("write %d+%d: %d, %v", w.off, w.n, n, err)
		}
		if grow := w.off + w.n - len(model); grow > 0 && w.n > 0 {
			model = append(model, make([]byte, grow)...)
		}
		copy(model[min(w.off, len(model)):], data)
		if size, err := file.Size(); size != int64(len(model)) || err != nil {
			t.Fatalf("size %d, %v, want %d", size, err, len(model))
		}
		expectFile(t, f.fs, f.path("a"), model)
	}
	for _, r := range []struct{ off, n, want int }{
		{0, 100, 100}, {4095, 2, 2}, {len(model) - 5, 5, 5}, {len(model) - 5, 6, 5}, {len(model), 1, 0}, {len(model) + 9, 1, 0},
	} {
		buf := make([]byte, r.n)
		n, err := file.ReadAt(buf, int64(r.off))
		if n != r.want || (n < r.n) != errors.Is(err, io.EOF) {
			t.Errorf("read %d+%d: %d, %v, want %d", r.off, r.n, n, err, r.want)
		}
		if n > 0 && !bytes.Equal(buf[:n], model[r.off:r.off+n]) {
			t.Errorf("read %d+%d: wrong bytes", r.off, r.n)
		}
	}
	if _, err := file.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("read before the beginning")
	}
	if _, err := file.WriteAt([]byte("x"), -1); err == nil {
		t.Error("write before the beginning")
	}
	if err := file.Sync(); err != nil {
		t.Errorf("sync: %v", err)
	}
}

func testTruncate(t *testing.T, f fixture) {
	data := bytes.Repeat([]byte("0123456789"), 1000)
	file := mustCreate(t, f.fs, f.path("a"), data)
	for _, size := range []int64{9000, 4096, 4095, 12_000, 10, 0, 20} {
		if err := file.Truncate(size); err != nil {
			t.Fatalf("truncate to %d: %v", size, err)
		}
		if size < int64(len(data)) {
			data = data[:size]
		} else {
			data = append(slices.Clone(data), make([]byte, size-int64(len(data)))...)
		}
		expectFile(t, f.fs, f.path("a"), data) // what was cut off must not come back
	}
	if err := file.Truncate(-1); err == nil {
		t.Error("truncate to less than nothing")
	}
}

func testAllocate(t *testing.T, f fixture) {
	file := mustCreate(t, f.fs, f.path("a"), []byte("abc"))
	for _, a := range []struct{ off, n, want int64 }{{0, 2, 3}, {0, 10, 10}, {5000, 5000, 10_000}, {100, 100, 10_000}, {0, 0, 10_000}} {
		if err := file.Allocate(a.off, a.n); err != nil {
			t.Fatalf("allocate %d+%d: %v", a.off, a.n, err)
		}
		expectFile(t, f.fs, f.path("a"), append([]byte("abc"), make([]byte, a.want-3)...))
	}
	if err := file.Allocate(-1, 10); err == nil {
		t.Error("allocate before the beginning")
	}
	if err := file.Allocate(1, -10); err == nil {
		t.Error("allocate less than nothing")
	}
}

func testWriteOut(t *testing.T, f fixture) {
	file := mustCreate(t, f.fs, f.path("a"), []byte("abc"))
	for _, r := range []struct{ off, n int64 }{{0, 3}, {1, 1}, {0, 0}, {2, 1 << 20}, {1 << 20, 5}} {
		if err := file.WriteOut(r.off, r.n); err != nil {
			t.Errorf("write out %d+%d: %v", r.off, r.n, err)
		}
		expectFile(t, f.fs, f.path("a"), []byte("abc"))
	}
}

func testRename(t *testing.T, f fixture) {
	mustClose(t, mustCreate(t, f.fs, f.path("a"), []byte("new")))
	mustClose(t, mustCreate(t, f.fs, f.path("b"), []byte("old")))
	old, err := f.fs.OpenRead(f.path("b"))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if err := f.fs.Rename(f.path("a"), f.path("b")); err != nil {
		t.Fatalf("rename: %v", err)
	}
	expectFile(t, f.fs, f.path("b"), []byte("new"))
	buf := make([]byte, 3)
	if _, err := old.ReadAt(buf, 0); err != nil || string(buf) != "old" {
		t.Errorf("the file that was replaced holds %q, %v for who has it open", buf, err)
	}
	mustClose(t, old)
	_, err = f.fs.Stat(f.path("a"))
	expectError(t, "stat of the old name", err, fs.ErrNotExist)
	expectError(t, "rename of no file", f.fs.Rename(f.path("a"), f.path("c")), fs.ErrNotExist)
	expectError(t, "rename into no directory", f.fs.Rename(f.path("b"), f.path("no", "b")), fs.ErrNotExist)
	if err := f.fs.Rename(f.path("b"), f.path("b")); err != nil {
		t.Errorf("rename to the same name: %v", err)
	}
	if err := f.fs.MkdirAll(f.path("d", "e")); err != nil {
		t.Fatalf("mkdir: %v", err)
	}
	if err := f.fs.Rename(f.path("b"), f.path("d", "b")); err != nil {
		t.Errorf("rename into a directory: %v", err)
	}
	expectFile(t, f.fs, f.path("d", "b"), []byte("new"))
	if err := f.fs.Rename(f.path("d"), f.path("d2")); err != nil {
		t.Errorf("rename of a directory: %v", err)
	}
	expectFile(t, f.fs, f.path("d2", "b"), []byte("new"))
	if err := f.fs.Rename(f.path("d2"), f.path("d2", "e", "x")); err == nil {
		t.Error("rename of a directory into itself")
	}
	if err := f.fs.Rename(f.path("d2", "b"), f.path("d2", "e")); err == nil {
		t.Error("rename of a file over a directory")
	}
	if err := f.fs.Rename(f.path("d2", "e"), f.path("d2", "b")); err == nil {
		t.Error("rename of a directory over a file")
	}
}

func testRemove(t *testing.T, f fixture) {
	mustClose(t, mustCreate(t, f.fs, f.path("a"), nil))
	if err := f.fs.Remove(f.path("a")); err != nil {
		t.Errorf("remove: %v", err)
	}
	expectError(t, "remove of no file", f.fs.Remove(f.path("a")), fs.ErrNotExist)
	if err := f.fs.MkdirAll(f.path("d", "e")); err != nil {
		t.Fatalf("mkdir: %v", err)
	}
	if err := f.fs.Remove(f.path("d")); err == nil {
		t.Error("remove of a directory that is not empty")
	}
	if err := f.fs.Remove(f.path("d", "e")); err != nil {
		t.Errorf("remove of an empty directory: %v", err)
	}
	mustClose(t, mustCreate(t, f.fs, f.path("a"), []byte("again")))
	expectFile(t, f.fs, f.path("a"), []byte("again"))
}

func testOpenAfterRemove(t *testing.T, f fixture) {
	file := mustCreate(t, f.fs, f.path("a"), []byte("abc"))
	if err := f.fs.Remove(f.path("a")); err != nil {
		t.Fatalf("remove: %v", err)
	}
	if _, err := file.WriteAt([]byte("def"), 3); err != nil {
		t.Errorf("write: %v", err)
	}
	buf := make([]byte, 6)
	if _, err := file.ReadAt(buf, 0); err != nil || string(buf) != "abcdef" {
		t.Errorf("read: %q, %v", buf, err)
	}
	mustClose(t, file)
}

func testMkdirAll(t *testing.T, f fixture) {
	for range 2 {
		if err := f.fs.MkdirAll(f.path("a", "b", "c")); err != nil {
			t.Fatalf("mkdir: %v", err)
		}
	}
	info, err := f.fs.Stat(f.path("a", "b"))
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		t.Errorf("stat: %v, %v", info, err)
	}
	mustClose(t, mustCreate(t, f.fs, f.path("file"), nil))
	if err := f.fs.MkdirAll(f.path("file")); err == nil {
		t.Error("a directory was made where a file is")
	}
	if err := f.fs.MkdirAll(f.path("file", "sub")); err == nil {
		t.Error("a directory was made in a file")
	}
	if _, err := f.fs.Open(f.path("a")); err == nil {
		t.Error("a directory was opened as a file")
	}
}

func testReadDir(t *testing.T, f fixture) {
	if err := f.fs.MkdirAll(f.path("d", "sub")); err != nil {
		t.Fatalf("mkdir: %v", err)
	}
	for _, name := range []string{"z", "a", "m"} {
		mustClose(t, mustCreate(t, f.fs, f.path("d", name), []byte(name)))
	}
	entries, err := f.fs.ReadDir(f.path("d"))
	if err != nil {
		t.Fatalf("readdir: %v", err)
	}
	var got []string
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatalf("info: %v", err)
		}
		size := info.Size()
		if entry.IsDir() {
			size = -1
		}
		got = append(got, fmt.Sprintf("%s %d", entry.Name(), size))
	}
	if want := []string{"a 1", "m 1", "sub -1", "z 1"}; !slices.Equal(got, want) {
		t.Errorf("readdir: %q, want %q", got, want)
	}
	_, err = f.fs.ReadDir(f.path("no"))
	expectError(t, "readdir of nothing", err, fs.ErrNotExist)
	if _, err := f.fs.ReadDir(f.path("d", "a")); err == nil {
		t.Error("readdir of a file")
	}
}

func testSyncDir(t *testing.T, f fixture) {
	if err := f.fs.SyncDir(f.dir); err != nil {
		t.Errorf("syncdir: %v", err)
	}
	expectError(t, "syncdir of nothing", f.fs.SyncDir(f.path("no")), fs.ErrNotExist)
	mustClose(t, mustCreate(t, f.fs, f.path("file"), nil))
	if err := f.fs.SyncDir(f.path("file")); err == nil {
		t.Error("syncdir of a file")
	}
}

func testLock(t *testing.T, f fixture) {
	first, err := f.fs.Lock(f.path("lock"))
	if err != nil {
		t.Fatalf("lock: %v", err)
	}
	_, err = f.fs.Lock(f.path("lock"))
	expectError(t, "second lock", err, ErrLocked)
	other, err := f.fs.Lock(f.path("other"))
	if err != nil {
		t.Errorf("lock of another file: %v", err)
	} else {
		mustClose(t, other)
	}
	mustClose(t, first)
	again, err := f.fs.Lock(f.path("lock"))
	if err != nil {
		t.Fatalf("lock after release: %v", err)
	}
	mustClose(t, again)
	if _, err := f.fs.Lock(f.path("no", "lock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lock in no directory: %v", err)
	}
}

func testSpace(t *testing.T, f fixture) {
	space, err := f.fs.Space(f.dir)
	if err != nil || space.Total == 0 || space.Free > space.Total {
		t.Errorf("space: %+v, %v", space, err)
	}
	_, err = f.fs.Space(f.path("no"))
	expectError(t, "space of nothing", err, fs.ErrNotExist)
}

func testClosed(t *testing.T, f fixture) {
	file := mustCreate(t, f.fs, f.path("a"), []byte("abc"))
	mustClose(t, file)
	_, err := file.ReadAt(make([]byte, 1), 0)
	expectError(t, "read", err, fs.ErrClosed)
	_, err = file.WriteAt([]byte("x"), 0)
	expectError(t, "write", err, fs.ErrClosed)
	_, err = file.Size()
	if err == nil {
		t.Error("size of a closed file")
	}
	expectError(t, "sync", file.Sync(), fs.ErrClosed)
	expectError(t, "allocate", file.Allocate(0, 1), fs.ErrClosed)
	expectError(t, "write out", file.WriteOut(0, 1), fs.ErrClosed)
	expectError(t, "truncate", file.Truncate(0), fs.ErrClosed)
	expectError(t, "close", file.Close(), fs.ErrClosed)
}

func testConcurrent(t *testing.T, f fixture) {
	file := mustCreate(t, f.fs, f.path("a"), nil)
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			block := bytes.Repeat([]byte{byte(w + 1)}, 1000)
			for i := range 8 {
				off := int64((i*8 + w) * len(block))
				if _, err := file.WriteAt(block, off); err != nil {
					t.Errorf("write: %v", err)
				}
				if err := file.Sync(); err != nil {
					t.Errorf("sync: %v", err)
				}
				got := make([]byte, len(block))
				if _, err := file.ReadAt(got, off); err != nil || !bytes.Equal(got, block) {
					t.Errorf("read back: %v", err)
				}
			}
		})
	}
	group.Wait()
}

func testWriteFileAtomic(t *testing.T, f fixture) {
	name := f.path("config")
	mustClose(t, mustCreate(t, f.fs, name+TempSuffix, []byte("left by a crash, and longer")))
	for _, data := range [][]byte{[]byte("first"), {}, bytes.Repeat([]byte("x"), 100_000)} {
		if err := WriteFileAtomic(f.fs, name, data); err != nil {
			t.Fatalf("write: %v", err)
		}
		expectFile(t, f.fs, name, data)
	}
	entries, err := f.fs.ReadDir(f.dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := WriteFileAtomic(f.fs, f.path("no", "config"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("write in no directory: %v", err)
	}
	if _, err := ReadFile(f.fs, f.path("none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read of no file: %v", err)
	}
}
