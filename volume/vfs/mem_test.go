package vfs

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, fsys FS, dir string) string {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	must(t, err)
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return strings.Join(all, " ")
}

func TestCrashDropsUnsyncedNames(t *testing.T) {
	t.Parallel()
	m := NewMem()
	must(t, m.MkdirAll("/d/e")) // syncs its parents itself
	synced := mustCreate(t, m, "/d/synced", []byte("1"))
	must(t, synced.Sync())
	must(t, m.SyncDir("/d"))
	file := mustCreate(t, m, "/d/unsynced", []byte("2"))
	must(t, file.Sync()) // its bytes, not its name
	if got := names(t, m.CrashClone(), "/d"); got != "e synced" {
		t.Errorf("after a create: %q", got)
	}
	must(t, m.Rename("/d/synced", "/d/renamed"))
	if got := names(t, m.CrashClone(), "/d"); got != "e synced" {
		t.Errorf("after a rename: %q", got)
	}
	must(t, m.SyncDir("/d"))
	if got := names(t, m.CrashClone(), "/d"); got != "e renamed unsynced" {
		t.Errorf("after a rename and a sync: %q", got)
	}
	must(t, m.Remove("/d/renamed"))
	clone := m.CrashClone()
	if got := names(t, clone, "/d"); got != "e renamed unsynced" {
		t.Errorf("after a remove: %q", got)
	}
	expectFile(t, clone, "/d/renamed", []byte("1"))
	must(t, m.SyncDir("/d"))
	if got := names(t, m.CrashClone(), "/d"); got != "e unsynced" {
		t.Errorf("after a remove and a sync: %q", got)
	}
}

func TestCrashRenameAcrossDirectories(t *testing.T) {
	t.Parallel()
	m := NewMem()
	must(t, m.MkdirAll("/a"))
	must(t, m.MkdirAll("/b"))
	file := mustCreate(t, m, "/a/f", []byte("x"))
	must(t, file.Sync())
	must(t, m.SyncDir("/a"))
	must(t, m.Rename("/a/f", "/b/f"))
	must(t, m.SyncDir("/b"))
	clone := m.CrashClone() // one file under two names: the old one was not removed
	expectFile(t, clone, "/a/f", []byte("x"))
	expectFile(t, clone, "/b/f", []byte("x"))
	must(t, m.SyncDir("/a"))
	if got := names(t, m.CrashClone(), "/a"); got != "" {
		t.Errorf("old directory: %q", got)
	}
	must(t, clone.Remove("/a/f"))
	expectFile(t, clone, "/b/f", []byte("x"))
}

func TestCrashDropsUnsyncedBytes(t *testing.T) {
	t.Parallel()
	m := NewMem()
	file := mustCreate(t, m, "/f", bytes.Repeat([]byte("a"), 10_000))
	must(t, m.SyncDir("/"))
	expectFile(t, m.CrashClone(), "/f", nil)
	must(t, file.Sync())
	want := bytes.Repeat([]byte("a"), 10_000)
	expectFile(t, m.CrashClone(), "/f", want)
	if _, err := file.WriteAt([]byte("bbb"), 5000); err != nil {
		t.Fatal(err)
	}
	must(t, file.Truncate(6000))
	must(t, file.Allocate(0, 50_000))
	expectFile(t, m.CrashClone(), "/f", want)
	must(t, file.Sync())
	copy(want[5000:], "bbb")
	want = append(want[:6000], make([]byte, 44_000)...)
	clone := m.CrashClone()
	expectFile(t, clone, "/f", want)

	// Neither side of a clone sees what the other does.
	other, err := clone.Open("/f")
	must(t, err)
	_, err = other.WriteAt([]byte("clone"), 0)
	must(t, err)
	_, err = file.WriteAt([]byte("live!"), 6000)
	must(t, err)
	must(t, other.Sync())
	must(t, file.Sync())
	expectFile(t, m, "/f", append(append(slices.Clone(want[:6000]), "live!"...), want[6005:]...))
	expectFile(t, clone.CrashClone(), "/f", append([]byte("clone"), want[5:]...))
}

func TestCrashReleasesLocks(t *testing.T) {
	t.Parallel()
	m := NewMem()
	_, err := m.Lock("/lock")
	must(t, err)
	must(t, m.SyncDir("/"))
	_, err = m.CrashClone().Lock("/lock")
	must(t, err)
}

// TestCrashRandSectors checks that each sector of a random crash holds a state
// that it had, and that every possible one occurs.
func TestCrashRandSectors(t *testing.T) {
	t.Parallel()
	m := NewMem()
	const sectors = 4
	file := mustCreate(t, m, "/f", bytes.Repeat([]byte("0"), sectors*sectorSize))
	must(t, file.Sync())
	must(t, m.SyncDir("/"))
	for _, fill := range []string{"1", "2"} { // two writes of all sectors at once
		_, err := file.WriteAt(bytes.Repeat([]byte(fill), sectors*sectorSize), 0)
		must(t, err)
	}
	seen := map[string]bool{}
	for seed := range uint64(10_000) {
		clone := m.CrashCloneRand(rand.New(rand.NewPCG(seed, 0)))
		got, err := ReadFile(clone, "/f")
		must(t, err)
		if len(got) != sectors*sectorSize {
			t.Fatalf("seed %d: %d bytes, and the length never changed", seed, len(got))
		}
		state := ""
		for sector := range slices.Chunk(got, sectorSize) {
			if bytes.Count(sector, sector[:1]) != sectorSize || !strings.Contains("012", string(sector[:1])) {
				t.Fatalf("seed %d: a sector holds a mixture", seed)
			}
			state += string(sector[:1])
		}
		seen[state] = true
	}
	if len(seen) != 81 {
		t.Errorf("%d of the 81 possible states were seen", len(seen))
	}
}

// TestCrashTorn tears the last write at each sector; everything else is there.
func TestCrashTorn(t *testing.T) {
	t.Parallel()
	m := NewMem()
	file := mustCreate(t, m, "/f", bytes.Repeat([]byte("0"), 2000))
	other := mustCreate(t, m, "/other", []byte("other"))
	_, err := file.WriteAt(bytes.Repeat([]byte("1"), 1200), 500) // sectors 0 to 3
	must(t, err)
	must(t, other.Truncate(3))
	must(t, file.Truncate(1900))
	for mask := range 16 {
		clone := m.CrashCloneTorn(func(sector int64) bool { return mask>>sector&1 == 1 })
		got, err := ReadFile(clone, "/f")
		must(t, err)
		want := bytes.Repeat([]byte("0"), 1900)
		for at := 500; at < 1700; at++ {
			if mask>>(at/sectorSize)&1 == 1 {
				want[at] = '1'
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("sectors %04b: wrong bytes", mask)
		}
		if got, err := ReadFile(clone, "/other"); err != nil || string(got) != "oth" {
			t.Errorf("the other file: %q, %v", got, err)
		}
	}
}

func TestCrashRandLength(t *testing.T) {
	t.Parallel()
	m := NewMem()
	file := mustCreate(t, m, "/f", bytes.Repeat([]byte("a"), 1000))
	must(t, file.Sync())
	must(t, m.SyncDir("/"))
	_, err := file.WriteAt(bytes.Repeat([]byte("b"), 2000), 1000)
	must(t, err)
	var same, whole, between, zeros int
	for seed := range uint64(1000) {
		got, err := ReadFile(m.CrashCloneRand(rand.New(rand.NewPCG(seed, 1))), "/f")
		must(t, err)
		switch {
		case len(got) < 1000 || len(got) > 3000:
			t.Fatalf("seed %d: %d bytes", seed, len(got))
		case len(got) == 1000:
			same++
		case len(got) == 3000:
			whole++
		default:
			between++
		}
		if strings.Trim(string(got[:1000]), "a") != "" {
			t.Fatalf("seed %d: synced bytes were lost", seed)
		}
		if strings.Trim(string(got[1000:]), "b\x00") != "" {
			t.Fatalf("seed %d: bytes that nobody wrote", seed)
		}
		if bytes.IndexByte(got, 0) >= 0 {
			zeros++
		}
	}
	if same == 0 || whole == 0 || between == 0 || zeros == 0 {
		t.Errorf("same %d, whole %d, between %d, with holes %d: each must occur", same, whole, between, zeros)
	}
}

func TestCrashRandTruncate(t *testing.T) {
	t.Parallel()
	m := NewMem()
	file := mustCreate(t, m, "/f", bytes.Repeat([]byte("a"), 9000))
	must(t, file.Sync())
	must(t, m.SyncDir("/"))
	must(t, file.Truncate(1000))
	_, err := file.WriteAt([]byte("b"), 8000)
	must(t, err)
	lengths := map[int]bool{}
	for seed := range uint64(500) {
		clone := m.CrashCloneRand(rand.New(rand.NewPCG(seed, 2)))
		got, err := ReadFile(clone, "/f")
		must(t, err)
		lengths[len(got)] = true
		if strings.Trim(string(got), "a\x00b") != "" || strings.Trim(string(got[:1000]), "a") != "" {
			t.Fatalf("seed %d: bytes that nobody wrote", seed)
		}
		// Beyond the length there is nothing that a longer file could show.
		again, err := clone.Open("/f")
		must(t, err)
		must(t, again.Truncate(20_000))
		long, err := ReadFile(clone, "/f")
		must(t, err)
		if strings.Trim(string(long[len(got):]), "\x00") != "" {
			t.Fatalf("seed %d: old bytes behind the end", seed)
		}
	}
	for _, want := range []int{1000, 8001, 9000} {
		if !lengths[want] {
			t.Errorf("length %d never occurred", want)
		}
	}
}

func TestCrashRandNames(t *testing.T) {
	t.Parallel()
	m := NewMem()
	must(t, m.MkdirAll("/d"))
	for _, name := range []string{"/d/old", "/d/a"} {
		must(t, mustCreate(t, m, name, []byte(name)).Sync())
	}
	must(t, m.SyncDir("/d"))
	must(t, mustCreate(t, m, "/d/new", []byte("new")).Sync())
	must(t, m.Rename("/d/a", "/d/b"))
	must(t, m.Remove("/d/old"))
	seen := map[string]bool{}
	for seed := range uint64(300) {
		seen[names(t, m.CrashCloneRand(rand.New(rand.NewPCG(seed, 3))), "/d")] = true
	}
	for _, want := range []string{"a old", "a new old", "b old", "b new old", "a", "a new", "b", "b new"} {
		if !seen[want] {
			t.Errorf("%q never occurred", want)
		}
		delete(seen, want)
	}
	if len(seen) != 0 {
		t.Errorf("impossible: %v", seen)
	}
}

func TestCrashRandIsRepeatable(t *testing.T) {
	t.Parallel()
	m := NewMem()
	for _, name := range []string{"/a", "/b", "/c", "/d", "/e"} {
		mustCreate(t, m, name, bytes.Repeat([]byte(name), 5000))
	}
	dump := func() string {
		clone := m.CrashCloneRand(rand.New(rand.NewPCG(7, 7)))
		all := names(t, clone, "/")
		for _, name := range strings.Fields(all) {
			data, err := ReadFile(clone, "/"+name)
			must(t, err)
			all += string(data)
		}
		return all
	}
	first := dump()
	for range 10 {
		if dump() != first {
			t.Fatal("one seed, two outcomes")
		}
	}
}

func TestMemSpace(t *testing.T) {
	t.Parallel()
	m := NewMem()
	m.SetCapacity(10 * pageSize)
	free := func() uint64 {
		s, err := m.Space("/")
		must(t, err)
		return s.Free / pageSize
	}
	file := mustCreate(t, m, "/a", make([]byte, 2*pageSize))
	must(t, file.Allocate(0, 5*pageSize))
	if free() != 5 {
		t.Errorf("%d pages free, want 5", free())
	}
	err := file.Allocate(0, 11*pageSize)
	expectError(t, "allocate", err, syscall.ENOSPC)
	if size, _ := file.Size(); size != 5*pageSize || free() != 5 {
		t.Errorf("a failed allocation left %d bytes, %d pages free", size, free())
	}
	n, err := file.WriteAt(make([]byte, 20*pageSize), 0)
	expectError(t, "write", err, syscall.ENOSPC)
	if n != 10*pageSize || free() != 0 {
		t.Errorf("wrote %d, %d pages free", n, free())
	}
	_, err = file.WriteAt([]byte("x"), 9*pageSize) // has its space
	must(t, err)
	must(t, file.Truncate(pageSize))
	if free() != 9 {
		t.Errorf("%d pages free after truncate, want 9", free())
	}
	must(t, file.Sync())
	must(t, m.SyncDir("/"))
	if s, err := m.CrashClone().Space("/"); err != nil || s.Total != 10*pageSize || s.Free != 9*pageSize {
		t.Errorf("clone: %+v, %v", s, err)
	}
	must(t, m.Remove("/a"))
	if free() != 9 {
		t.Errorf("%d pages free, and the file is still open", free())
	}
	must(t, file.Close())
	if free() != 10 {
		t.Errorf("%d pages free after the last close, want 10", free())
	}
	m.SetCapacity(0)
	if _, err := m.Create("/b"); err != nil {
		t.Errorf("a name takes no space: %v", err)
	}
}

// TestWriteFileAtomicCrash takes the power away after each call of
// WriteFileAtomic: the file is the old one or the new one, whole.
func TestWriteFileAtomicCrash(t *testing.T) {
	t.Parallel()
	old, fresh := bytes.Repeat([]byte("o"), 3000), bytes.Repeat([]byte("n"), 5000)
	sawOld, sawNew := false, false
	m := NewMem()
	check := func(clone *Mem) {
		got, err := ReadFile(clone, "/f")
		switch {
		case err == nil && bytes.Equal(got, old):
			sawOld = true
		case err == nil && bytes.Equal(got, fresh):
			sawNew = true
		default:
			t.Errorf("%d bytes, %v: neither the old content nor the new", len(got), err)
		}
		must(t, WriteFileAtomic(clone, "/f", fresh)) // works over what a crash left
	}
	must(t, WriteFileAtomic(m, "/f", old))
	hook := func(Call) *Fault {
		check(m.CrashClone())
		for seed := range uint64(50) {
			check(m.CrashCloneRand(rand.New(rand.NewPCG(seed, 4))))
		}
		return nil
	}
	must(t, WriteFileAtomic(NewFaulty(m, Plan{Hook: hook}), "/f", fresh))
	if !sawOld || !sawNew {
		t.Errorf("old seen %v, new seen %v: both must occur", sawOld, sawNew)
	}
	expectFile(t, m.CrashClone(), "/f", fresh)
}

// TestMkdirAllCrash checks that MkdirAll makes durable also what a process left
// behind that was killed between mkdir and sync.
func TestMkdirAllCrash(t *testing.T) {
	t.Parallel()
	for _, made := range []string{"/a", "/a/b"} {
		m := NewMem()
		must(t, m.MkdirAll(strings.TrimSuffix(made, made[strings.LastIndex(made, "/"):])+"/"))
		must(t, m.mkdir(made)) // and killed
		must(t, m.MkdirAll("/a/b"))
		if _, err := m.CrashClone().Stat("/a/b"); err != nil {
			t.Errorf("after a kill at %s: %v", made, err)
		}
	}
}

func TestMemLookup(t *testing.T) {
	t.Parallel()
	m := NewMem()
	mustCreate(t, m, "relative", nil)
	if _, err := m.Stat("/relative"); err != nil {
		t.Errorf("a relative path is one from the root: %v", err)
	}
	if _, err := m.Stat("/relative/below"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
	if _, err := m.Create("/"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create of the root: %v", err)
	}
	if err := m.Remove("/"); err == nil {
		t.Error("remove of the root")
	}
	if err := m.Rename("/relative", "/"); err == nil {
		t.Error("rename over the root")
	}
}
