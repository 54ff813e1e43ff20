package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestIncremental: each backup is whole, and writes only what is not there.
func TestIncremental(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]Place{"memory": newMemory(), "directory": NewDir(filepath.Join(t.TempDir(), "new"))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, at := newFakeStore(), newClock()
			f.fill()
			first, progress := mustCreate(t, p, f, Options{Clock: at.now, Program: "test"})
			if first.Rows != 304 || first.Bytes != first.NewBytes || progress.Sent != first.Bytes || first.Bodies != 305 {
				t.Errorf("%+v, %+v", first, progress)
			}
			firstWant := f.want()
			wantBackup(t, p, nil, "", firstWant)
			f.asked = 0
			second, _ := mustCreate(t, p, f, Options{Clock: at.now})
			if f.asked != 0 || second.NewBytes != 0 {
				t.Errorf("an empty increment reads %d runs", f.asked)
			}
			f.rows = slices.Delete(f.rows, 5, 10)
			f.add("new", random(9, 5000))
			third, _ := mustCreate(t, p, f, Options{Clock: at.now})
			if f.asked != 1 || third.NewBytes != 5000 {
				t.Errorf("an increment of one row reads %d runs", f.asked)
			}
			wantBackup(t, p, nil, first.ID, firstWant)
			wantBackup(t, p, nil, second.ID, firstWant)
			wantBackup(t, p, nil, "", f.want())
			if v := wantVerified(t, p, nil); v.Backups != 3 || v.Rows != 304+304+300 {
				t.Errorf("verified %+v", v)
			}
			all, bad, err := List(t.Context(), p)
			if err != nil || len(bad) != 0 || len(all) != 3 || all[0].ID != first.ID || all[2].ID != third.ID || all[0].Program != "test" {
				t.Errorf("%+v, %v, %v", all, bad, err)
			}
			pruneAll(t, p.(Keeper), first, third, f)
		})
	}
}

// pruneAll removes all backups but the newest, and then what is left.
func pruneAll(t *testing.T, p Keeper, first, third Manifest, f *fakeStore) {
	t.Helper()
	done, err := Prune(t.Context(), p, 1)
	if err != nil || len(done.Kept) != 1 || len(done.Removed) != 2 || done.Packs != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	wantBackup(t, p, nil, third.ID, f.want())
	if _, err := Open(t.Context(), p, nil, first.ID); !errors.Is(err, ErrNoBackup) {
		t.Errorf("a backup that was removed: %v", err)
	}
	f.rows = f.rows[:1]
	last, _ := mustCreate(t, p, f, Options{})
	if done, err = Prune(t.Context(), p, 1); err != nil || done.Packs == 0 || done.Bytes == 0 || len(done.Kept) != 1 || done.Kept[0] != last.ID {
		t.Fatalf("%+v, %v", done, err)
	}
	wantBackup(t, p, nil, "", f.want())
	wantVerified(t, p, nil)
}

// TestKilled: a backup that ends at any moment leaves the ones before it, and what
// it has written is used by the next.
func TestKilled(t *testing.T) {
	t.Parallel()
	p, f, at := newMemory(), newFakeStore(), newClock()
	f.fill()
	first, _ := mustCreate(t, p, f, Options{Clock: at.now})
	firstWant := f.want()
	for i := range 3 {
		f.add(fmt.Sprintf("more/%d", i), random(uint64(50+i), 2*runLen))
	}
	died := errors.New("died")
	for n := 1; ; n++ {
		left := n
		p.fail = func(op, _ string) error {
			if op == "list" {
				return nil
			}
			if left--; left <= 0 {
				return died
			}
			return nil
		}
		_, _, err := Create(t.Context(), p, f, Options{Clock: at.now})
		p.fail = nil
		for name := range p.files { // nobody is there to remove it
			if strings.HasPrefix(name, lockDir) {
				delete(p.files, name)
			}
		}
		wantBackup(t, p, nil, first.ID, firstWant)
		if err == nil {
			break
		}
		if !errors.Is(err, died) {
			t.Fatal(err)
		}
	}
	f.asked = 0
	_, progress := mustCreate(t, p, f, Options{Clock: at.now})
	if f.asked != 0 {
		t.Errorf("%d runs were read again: %+v", f.asked, progress)
	}
	wantBackup(t, p, nil, "", f.want())
	if _, err := Prune(t.Context(), p, 1); err != nil {
		t.Fatal(err)
	}
	wantVerified(t, p, nil)
	if n := len(p.files); n != 1+len(p.packs())+3 {
		t.Errorf("%d files are left", n)
	}
}

// TestResumed: packs that a backup has left that was cut short are used.
func TestResumed(t *testing.T) {
	t.Parallel()
	p, f := newMemory(), newFakeStore()
	f.fill()
	died := errors.New("died")
	p.fail = func(op, name string) error {
		if op == "put" && strings.HasPrefix(name, backupsDir) {
			return died
		}
		return nil
	}
	if _, _, err := Create(t.Context(), p, f, Options{}); !errors.Is(err, died) {
		t.Fatal(err)
	}
	p.fail = nil
	p.files["packs/00/"+strings.Repeat("0", 64)] = []byte("no pack")
	f.asked = 0
	m, progress := mustCreate(t, p, f, Options{})
	if f.asked != 0 || progress.Resumed != 1 || m.NewBytes != 0 {
		t.Errorf("asked for %d: %+v", f.asked, progress)
	}
	wantBackup(t, p, nil, "", f.want())
}

// TestDamage: every flipped bit and every missing file of a backup is found by
// Verify, and never gives wrong bytes; the next backup mends what it can.
func TestDamage(t *testing.T) {
	t.Parallel()
	p, f, at := newMemory(), newFakeStore(), newClock()
	for i := range 20 {
		f.add(fmt.Sprint(i), random(uint64(i), 100))
	}
	m, _ := mustCreate(t, p, f, Options{Clock: at.now})
	for name, content := range p.files {
		for i := 0; i < len(content); i += 1 + len(content)/41 {
			content[i] ^= 1 << (i % 8)
			v, err := Verify(t.Context(), p, nil, "", nil)
			if err == nil && len(v.Problems) == 0 {
				t.Errorf("%s: bit in byte %d is not noticed", name, i)
			}
			if got, err := readBack(t.Context(), p, nil, m.ID); err == nil {
				for k, want := range f.want() {
					if !slices.Equal(got[k], want) {
						t.Fatalf("%s: bit in byte %d gives wrong bytes", name, i)
					}
				}
			}
			content[i] ^= 1 << (i % 8)
		}
		delete(p.files, name)
		v, err := Verify(t.Context(), p, nil, "", nil)
		if err == nil && len(v.Problems) == 0 {
			t.Errorf("%s: that it is missing is not noticed", name)
		}
		if _, err := readBack(t.Context(), p, nil, m.ID); err == nil {
			t.Errorf("%s: read without it", name)
		}
		p.files[name] = content[:len(content)-1]
		if _, err := readBack(t.Context(), p, nil, m.ID); err == nil {
			t.Errorf("%s: read though it is cut short", name)
		}
		p.files[name] = content
	}
	for _, name := range p.packs() {
		delete(p.files, name)
	}
	f.asked = 0
	_, progress := mustCreate(t, p, f, Options{Clock: at.now})
	if f.asked != 20 || progress.Lost != 1 {
		t.Errorf("asked for %d: %+v", f.asked, progress)
	}
	wantBackup(t, p, nil, "", f.want())
}

// TestNewer: what a newer program has written is refused as that.
func TestNewer(t *testing.T) {
	t.Parallel()
	p, f := newMemory(), newFakeStore()
	f.fill()
	m, _ := mustCreate(t, p, f, Options{})
	m.Format++
	manifest, err := sealDocument(m)
	if err != nil {
		t.Fatal(err)
	}
	m.Format--
	name := backupFile(m.ID, manifestFile)
	was := p.files[name]
	p.files[name] = manifest
	if _, err := Open(t.Context(), p, nil, ""); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer manifest: %v", err)
	}
	p.files[name] = was
	newMark, err := sealDocument(mark{Format: Format + 1, Kind: markKind})
	if err != nil {
		t.Fatal(err)
	}
	p.files[markName] = newMark
	if _, err := Open(t.Context(), p, nil, ""); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer place: %v", err)
	}
	if _, _, err := Create(t.Context(), p, f, Options{}); !errors.Is(err, ErrNewer) {
		t.Errorf("a backup to a newer place: %v", err)
	}
}

// TestFiles: a full backup in a file, two increments over it, and what goes wrong
// with them.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir, f := t.TempDir(), newFakeStore()
	f.fill()
	file := func(name string, base Place) Place {
		w, err := NewFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		mustCreate(t, w, f, Options{Base: base})
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		a, err := OpenArchive(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.Close() })
		return a
	}
	full := file("full.tar", nil)
	wantBackup(t, full, nil, "", f.want())
	wantVerified(t, full, nil)
	f.add("second", random(500, 10))
	second := file("second.tar", full)
	f.add("third", random(501, 10))
	third := file("third.tar", second)
	if info, err := os.Stat(filepath.Join(dir, "third.tar")); err != nil || info.Size() > 64<<10 {
		t.Errorf("the third has %v bytes, %v", info, err)
	}
	wantBackup(t, third, []Place{second, full}, "", f.want())
	wantVerified(t, third, []Place{full, second})
	if _, err := Open(t.Context(), third, []Place{full}, ""); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "increment") {
		t.Errorf("without the second: %v", err)
	}
	other := newFakeStore()
	other.cluster = "another"
	w, err := NewFile(filepath.Join(dir, "other.tar"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Create(t.Context(), w, other, Options{Base: full}); err == nil || !strings.Contains(err.Error(), "another store") {
		t.Errorf("over a base of another store: %v", err)
	}
	if err := w.Abandon(); err != nil {
		t.Fatal(err)
	}
	if _, err := NewFile(filepath.Join(dir, "full.tar")); err == nil {
		t.Error("an existing file is written over")
	}
	whole, err := os.ReadFile(filepath.Join(dir, "full.tar"))
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.tar")
	for n := 0; n < len(whole)-2048; n += 1 + len(whole)/13 {
		if err := os.WriteFile(cut, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := OpenArchive(cut)
		if err == nil {
			_, err = readBack(t.Context(), a, nil, "")
			_ = a.Close()
		}
		if err == nil || !IsBad(err) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

// TestRefused: places that are something else, and stores that fail.
func TestRefused(t *testing.T) {
	t.Parallel()
	f := newFakeStore()
	f.fill()
	taken := newMemory()
	taken.files["holiday.jpg"] = []byte("x")
	if _, _, err := Create(t.Context(), taken, f, Options{}); !errors.Is(err, ErrNotBackup) {
		t.Errorf("a place with something else: %v", err)
	}
	if _, _, err := List(t.Context(), newMemory()); !errors.Is(err, ErrNotBackup) {
		t.Errorf("an empty place: %v", err)
	}
	p := newMemory()
	gone := errors.New("gone")
	f.fail = func(w Want) error {
		if strings.HasPrefix(string(w.Handle), "small/299") {
			return gone
		}
		return nil
	}
	if _, _, err := Create(t.Context(), p, f, Options{}); !errors.Is(err, gone) {
		t.Errorf("a body that can not be read: %v", err)
	}
	f.fail, f.held = nil, gone
	if _, _, err := Create(t.Context(), p, f, Options{}); !errors.Is(err, gone) {
		t.Errorf("a hold that was lost: %v", err)
	}
	f.held = nil
	if all, _, err := List(t.Context(), p); err != nil || len(all) != 0 {
		t.Errorf("backups that failed are listed: %v, %v", all, err)
	}
	if _, err := Open(t.Context(), p, nil, ""); !errors.Is(err, ErrNoBackup) {
		t.Errorf("no backup: %v", err)
	}
	for _, id := range []string{"x", "../../etc", "20260102T030405Z-0a1b2c3d"} {
		if _, err := Open(t.Context(), p, nil, id); !errors.Is(err, ErrNoBackup) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// TestLocks: nobody removes anything while a backup is made, and the other way
// round; a lock that was left ends.
func TestLocks(t *testing.T) {
	t.Parallel()
	p, f := newMemory(), newFakeStore()
	f.fill()
	mustCreate(t, p, f, Options{})
	unlock, err := lock(t.Context(), p, lockBackup, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Prune(t.Context(), p, 1); !errors.Is(err, ErrBusy) {
		t.Errorf("prune amid a backup: %v", err)
	}
	mustCreate(t, p, f, Options{}) // two at the same time
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err = lock(t.Context(), p, lockPrune, "b"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Create(t.Context(), p, f, Options{}); !errors.Is(err, ErrBusy) {
		t.Errorf("backup amid a prune: %v", err)
	}
	p.now = p.now.Add(staleLock + 1)
	mustCreate(t, p, f, Options{})
}
