package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestFaultyNth(t *testing.T) {
	t.Parallel()
	tests := []struct {
		nth, times int
		want       string // f: failed, for five calls
	}{
		{0, 0, "f...."},
		{1, 1, "f...."},
		{3, 0, "..f.."},
		{2, 3, ".fff."},
		{4, -1, "...ff"},
		{6, 1, "....."},
	}
	for _, test := range tests {
		f := NewFaulty(NewMem(), Plan{Rules: []Rule{{Op: OpSync, Nth: test.nth, Times: test.times, Fault: Fault{Err: syscall.EIO}}}})
		file := mustCreate(t, f, "/a", nil)
		got := ""
		for range 5 {
			switch err := file.Sync(); {
			case err == nil:
				got += "."
			case errors.Is(err, syscall.EIO):
				got += "f"
			default:
				t.Fatal(err)
			}
		}
		if got != test.want {
			t.Errorf("nth %d, times %d: %s, want %s", test.nth, test.times, got, test.want)
		}
	}
}

func TestFaultyMatch(t *testing.T) {
	t.Parallel()
	f := NewFaulty(NewMem(), Plan{Rules: []Rule{{Match: "*.tmp", Nth: 2, Fault: Fault{Err: syscall.EIO}}}})
	mustCreate(t, f, "/a", nil)
	file := mustCreate(t, f, "/x.tmp.not", nil)
	must(t, file.Sync())
	if _, err := f.Create("/b.tmp"); err != nil {
		t.Errorf("first call that matches: %v", err)
	}
	expectError(t, "second call that matches", f.Remove("/b.tmp"), syscall.EIO)
	must(t, f.Remove("/b.tmp"))
}

// TestFaultyEveryOp fails each operation once and sees it fail.
func TestFaultyEveryOp(t *testing.T) {
	t.Parallel()
	for op := OpCreate; op < opCount; op++ {
		for _, persist := range []bool{false, true} {
			f := NewFaulty(NewMem(), Plan{})
			file := mustCreate(t, f, "/a", []byte("abc"))
			f.SetPlan(Plan{Rules: []Rule{{Op: op, Fault: Fault{Err: syscall.EIO, Persist: persist}}}})
			errs := everyCall(f, file)
			for other, err := range errs {
				if (other == op) != errors.Is(err, syscall.EIO) {
					t.Errorf("%s fails, and %s: %v", op, other, err)
				}
			}
			if f.Count(op) == 0 {
				t.Errorf("%s was not counted", op)
			}
		}
	}
}

// everyCall makes each call once. The file is closed last.
func everyCall(f *Faulty, file File) map[Op]error {
	errs := map[Op]error{}
	lock, err := f.Lock("/lock")
	errs[OpLock] = err
	if lock != nil {
		_ = lock.Close()
	}
	for op, open := range map[Op]func(string) (File, error){
		OpCreate: func(string) (File, error) { return f.Create("/new") }, OpOpen: f.Open, OpOpenRead: f.OpenRead,
	} {
		opened, err := open("/a")
		errs[op] = err
		if (opened == nil) != (err != nil) {
			errs[op] = fmt.Errorf("%v and a file: %v", err, opened)
		}
	}
	_, errs[OpReadDir] = f.ReadDir("/")
	_, errs[OpStat] = f.Stat("/a")
	_, errs[OpSpace] = f.Space("/")
	_, errs[OpReadAt] = file.ReadAt(make([]byte, 1), 0)
	_, errs[OpWriteAt] = file.WriteAt([]byte("x"), 0)
	_, errs[OpSize] = file.Size()
	errs[OpMkdirAll] = f.MkdirAll("/d")
	errs[OpSyncDir] = f.SyncDir("/")
	errs[OpTruncate] = file.Truncate(2)
	errs[OpAllocate] = file.Allocate(0, 10)
	errs[OpWriteOut] = file.WriteOut(0, 10)
	errs[OpSync] = file.Sync()
	errs[OpRename] = f.Rename("/a", "/b")
	_, err = f.inner.Stat("/a")
	left := "/a"
	if err != nil {
		left = "/b"
	}
	errs[OpRemove] = f.Remove(left)
	errs[OpClose] = file.Close()
	return errs
}

func TestFaultyShort(t *testing.T) {
	t.Parallel()
	f := NewFaulty(NewMem(), Plan{Rules: []Rule{
		{Op: OpWriteAt, Nth: 2, Fault: Fault{Err: syscall.ENOSPC, Short: 4}},
		{Op: OpReadAt, Nth: 2, Fault: Fault{Err: syscall.EIO, Short: 3}},
	}})
	file := mustCreate(t, f, "/a", []byte("0123456789"))
	n, err := file.WriteAt([]byte("abcdefghij"), 0)
	if n != 4 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("short write: %d, %v", n, err)
	}
	buf := make([]byte, 10)
	if n, err := file.ReadAt(buf, 0); n != 10 || err != nil || string(buf) != "abcd456789" {
		t.Errorf("after a short write: %q, %v", buf[:n], err)
	}
	clear(buf)
	if n, err := file.ReadAt(buf, 0); n != 3 || !errors.Is(err, syscall.EIO) || string(buf[:4]) != "abc\x00" {
		t.Errorf("short read: %d %q, %v", n, buf, err)
	}
}

// TestFaultySync fails a sync in both ways: the bytes reached the disk, or not.
func TestFaultySync(t *testing.T) {
	t.Parallel()
	for _, persist := range []bool{false, true} {
		m := NewMem()
		f := NewFaulty(m, Plan{Rules: []Rule{
			{Op: OpSync, Fault: Fault{Err: syscall.EIO, Persist: persist}},
			{Op: OpSyncDir, Fault: Fault{Err: syscall.EIO, Persist: persist}},
		}})
		file := mustCreate(t, f, "/a", []byte("abc"))
		expectError(t, "sync", file.Sync(), syscall.EIO)
		expectError(t, "syncdir", f.SyncDir("/"), syscall.EIO)
		data, err := ReadFile(m.CrashClone(), "/a")
		if persisted := err == nil && string(data) == "abc"; persisted != persist {
			t.Errorf("persist %v: %q, %v", persist, data, err)
		}
	}
}

// TestFaultySyncLosesPages fails a sync as Linux does: what it did not write is
// seen until the power goes, and no later sync writes it, until its page is
// written to again.
func TestFaultySyncLosesPages(t *testing.T) {
	t.Parallel()
	m := NewMem()
	odd := func(sector int64) bool { return sector%2 == 1 }
	f := NewFaulty(m, Plan{Rules: []Rule{{Op: OpSync, Fault: Fault{Err: syscall.EIO, Keep: odd}}}})
	file := mustCreate(t, f, "/a", bytes.Repeat([]byte("x"), 3*pageSize))
	must(t, f.SyncDir("/"))
	expectError(t, "sync", file.Sync(), syscall.EIO)
	sectors := func(fsys FS) (s string) {
		data, err := ReadFile(fsys, "/a")
		must(t, err)
		for at := 0; at < len(data); at += sectorSize {
			s += string(data[at] | ' ') // a zero shows as a space
		}
		return s
	}
	if got, want := sectors(m), strings.Repeat("x", 24); got != want {
		t.Errorf("seen after the failure: %q, want %q", got, want)
	}
	lost := strings.Repeat(" x", 12)
	if got := sectors(m.CrashClone()); got != lost {
		t.Errorf("on the disk after the failure: %q, want %q", got, lost)
	}
	must(t, file.Sync())
	if got := sectors(m.CrashClone()); got != lost {
		t.Errorf("on the disk after another sync: %q, want %q", got, lost)
	}
	_, err := file.WriteAt([]byte("y"), pageSize)
	must(t, err)
	must(t, file.Sync())
	if got, want := sectors(m.CrashClone()), " x x x x"+"yxxxxxxx"+" x x x x"; got != want {
		t.Errorf("on the disk after its page was written to: %q, want %q", got, want)
	}
}

// TestFaultyLies lets each call that can do so lie, and sees that it did
// nothing.
func TestFaultyLies(t *testing.T) {
	t.Parallel()
	for op := OpCreate; op < opCount; op++ {
		m := NewMem()
		f := NewFaulty(m, Plan{})
		file := mustCreate(t, f, "/a", []byte("abcdef"))
		mustCreate(t, f, "/gone", nil)
		must(t, file.Sync())
		must(t, f.SyncDir("/"))
		f.SetPlan(Plan{Rules: []Rule{{Op: op, Times: -1, Fault: Fault{Lie: true}}}})
		_, err := file.WriteAt([]byte("A"), 0)
		must(t, errors.Join(err, file.Truncate(4), file.Allocate(0, 8), file.WriteOut(0, 8), f.Remove("/gone"), f.Rename("/a", "/b")))
		must(t, errors.Join(file.Sync(), f.SyncDir("/")))
		buf := make([]byte, 8)
		n, err := file.ReadAt(buf, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%q, on disk: %s", buf[:n], names(t, m.CrashClone(), "/"))
		want := map[Op]string{
			OpWriteAt: `"abcd\x00\x00\x00\x00", on disk: b`, OpTruncate: `"Abcdef\x00\x00", on disk: b`,
			OpAllocate: `"Abcd", on disk: b`, OpRemove: `"Abcd\x00\x00\x00\x00", on disk: b gone`,
			OpRename: `"Abcd\x00\x00\x00\x00", on disk: a`, OpSyncDir: `"Abcd\x00\x00\x00\x00", on disk: a gone`,
			OpReadAt: `"Abcd\x01\x00\x00\x00", on disk: b`,
		}[op]
		if want == "" {
			want = `"Abcd\x00\x00\x00\x00", on disk: b`
		}
		if got != want {
			t.Errorf("%s lies: %s, want %s", op, got, want)
		}
		if op == OpSync {
			data, err := ReadFile(m.CrashClone(), "/b")
			must(t, err)
			if string(data) != "abcdef" {
				t.Errorf("sync lies, and the disk has %q", data)
			}
		}
	}
}

func TestFaultyHookAndTrace(t *testing.T) {
	t.Parallel()
	f := NewFaulty(NewMem(), Plan{Trace: true, Hook: func(c Call) *Fault {
		if c.Op == OpRename && filepath.Base(c.NewName) == "forbidden" {
			return &Fault{Err: syscall.EPERM}
		}
		return nil
	}})
	must(t, WriteFileAtomic(f, "/ok", []byte("data")))
	expectError(t, "write", WriteFileAtomic(f, "/forbidden", nil), syscall.EPERM)
	var got []string
	for _, c := range f.Trace() {
		got = append(got, fmt.Sprintf("%s %s %s %d+%d #%d %v", c.Op, c.Name, c.NewName, c.Off, c.Len, c.Nth, c.Err != nil))
	}
	want := []string{
		"create /ok.tmp  0+0 #1 false",
		"writeat /ok.tmp  0+4 #1 false",
		"sync /ok.tmp  0+0 #1 false",
		"close /ok.tmp  0+0 #1 false",
		"rename /ok.tmp /ok 0+0 #1 false",
		"syncdir /  0+0 #1 false",
		"create /forbidden.tmp  0+0 #2 false",
		"writeat /forbidden.tmp  0+0 #2 false",
		"sync /forbidden.tmp  0+0 #2 false",
		"close /forbidden.tmp  0+0 #2 false",
		"rename /forbidden.tmp /forbidden 0+0 #2 true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("trace:\n%q\nwant\n%q", got, want)
	}
	if f.Count(OpAny) != len(want) || f.Count(OpSync) != 2 {
		t.Errorf("counts %d and %d", f.Count(OpAny), f.Count(OpSync))
	}
}

// TestWriteFileAtomicFaults fails each call of WriteFileAtomic in turn, in both
// ways: it reports the failure, and the file is the old one or the new one.
func TestWriteFileAtomicFaults(t *testing.T) {
	t.Parallel()
	for nth := 1; ; nth++ {
		failed := false
		for _, persist := range []bool{false, true} {
			m := NewMem()
			must(t, WriteFileAtomic(m, "/f", []byte("old")))
			f := NewFaulty(m, Plan{Rules: []Rule{{Nth: nth, Fault: Fault{Err: syscall.EIO, Persist: persist}}}})
			err := WriteFileAtomic(f, "/f", []byte("new"))
			failed = failed || err != nil
			if err != nil && !errors.Is(err, syscall.EIO) {
				t.Errorf("call %d: %v", nth, err)
			}
			for _, fsys := range []FS{m, m.CrashClone()} {
				data, readErr := ReadFile(fsys, "/f")
				if s := string(data); readErr != nil || (s != "new" && (err == nil || s != "old")) {
					t.Errorf("call %d failed with %v, persisted %v: %q, %v", nth, err, persist, data, readErr)
				}
			}
			must(t, WriteFileAtomic(m, "/f", []byte("newer")))
		}
		if !failed {
			if nth < 7 {
				t.Errorf("only %d calls were seen", nth-1)
			}
			return
		}
	}
}

func TestReadFileFaults(t *testing.T) {
	t.Parallel()
	for _, op := range []Op{OpOpenRead, OpSize, OpReadAt, OpClose} {
		f := NewFaulty(NewMem(), Plan{Rules: []Rule{{Op: op, Fault: Fault{Err: syscall.EIO}}}})
		mustCreate(t, f, "/a", []byte("abc"))
		if _, err := ReadFile(f, "/a"); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s fails: %v", op, err)
		}
	}
}
