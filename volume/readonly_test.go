package volume_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// treeOf is all that lies below a directory: contents and times.
func treeOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			tree[name] = fmt.Sprint(err)
			return err
		}
		b, err := os.ReadFile(name)
		tree[name] = fmt.Sprint(info.ModTime(), string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// copyTree copies a directory, as a kill of whoever has it open leaves it.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(filepath.Join(to, "v"), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(to, "v")
}

// bodyOf is the body of a blob.
func bodyOf(i int) []byte { return bytes.Repeat([]byte{byte(i + 1)}, 100+i*4000) }

func idOf(i int) volume.BlobID { return volume.BlobID{byte(i), 1, 2, 3} }

// fillDir makes a volume with small and large blobs, some of them deleted, and
// returns the directory as it is while it is open, and closed.
func fillDir(t *testing.T, blobs int) (killed, closed string) {
	t.Helper()
	dir := t.TempDir()
	s, err := volume.Open(volume.Config{FS: vfs.OS(), Dir: dir, SmallLimit: 1 << 16, SegmentSize: 1 << 20, PreallocateStep: 1 << 16, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Claim(context.Background(), "cluster"); err != nil {
		t.Fatal(err)
	}
	for i := range blobs {
		b := bodyOf(i)
		if err := s.Put(context.Background(), idOf(i), int64(len(b)), bytes.NewReader(b), func() ([]byte, error) { return []byte{byte(i)}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(context.Background(), []volume.BlobID{idOf(0), idOf(blobs - 1)}); err != nil {
		t.Fatal(err)
	}
	killed = copyTree(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return killed, dir
}

// TestReadOnly: a volume is read as its next start would have it, also one that a
// kill has left with a torn end, and nothing in its directory changes.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	const blobs = 12
	killed, closed := fillDir(t, blobs)
	segments, err := filepath.Glob(filepath.Join(killed, "segments", "*"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	f, err := os.OpenFile(segments[len(segments)-1], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Repeat([]byte("torn"), 99)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(killed, "tmp", "left"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(killed, "volume.copy.json")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{killed, closed} {
		before := treeOf(t, dir)
		s, err := volume.Open(volume.Config{FS: vfs.OS(), Dir: dir, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		infos, err := s.List(context.Background(), volume.BlobID{}, 100)
		if err != nil || len(infos) != blobs-2 {
			t.Errorf("%d blobs, %v", len(infos), err)
		}
		for _, info := range infos {
			i := int(info.ID[0])
			r, err := s.Get(context.Background(), info.ID, 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, bodyOf(i)) || info.ID != idOf(i) {
				t.Errorf("blob %d: %d bytes, %v", i, len(b), err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		wantRefused(t, s, dir)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if after := treeOf(t, dir); !maps.Equal(before, after) {
			t.Error("something has changed")
		}
	}
}

// wantRefused wants every write to be refused, and another process.
func wantRefused(t *testing.T, s *volume.Store, dir string) {
	t.Helper()
	put := s.Put(context.Background(), volume.BlobID{99}, 1, strings.NewReader("x"), func() ([]byte, error) { return nil, nil })
	for what, err := range map[string]error{"put": put, "delete": s.Delete(context.Background(), []volume.BlobID{idOf(1)})} {
		if !errors.Is(err, volume.ErrReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
	st, err := s.Status(context.Background())
	if err != nil || st.ReadOnly == "" || st.Cluster != "cluster" {
		t.Errorf("%+v, %v", st, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "LOCK")); err != nil {
		return // it was copied without
	}
	if _, err := volume.Open(volume.Config{FS: vfs.OS(), Dir: dir}); !errors.Is(err, volume.ErrLocked) {
		t.Errorf("a second process: %v", err)
	}
}

// TestReadOnlyNothing: a directory that is no volume does not become one.
func TestReadOnlyNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, dir := range []string{dir, filepath.Join(dir, "missing")} {
		if _, err := volume.Open(volume.Config{FS: vfs.OS(), Dir: dir, ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v", err)
		}
		if _, err := volume.Inspect(vfs.OS(), dir, func(volume.Oddity) {}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v", err)
		}
	}
	if tree := treeOf(t, dir); len(tree) != 1 {
		t.Errorf("it has made %v", tree)
	}
}

// flipAt changes a byte of a file.
func flipAt(t *testing.T, name string, at int) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestInspect finds each oddity, and nothing in what a clean stop or a kill leaves.
func TestInspect(t *testing.T) {
	t.Parallel()
	killed, closed := fillDir(t, 30)
	other, _ := fillDir(t, 5)
	first := func(dir string) string { return filepath.Join(dir, "segments", "00000001.seg") }
	last := func(dir string) string {
		names, _ := filepath.Glob(filepath.Join(dir, "segments", "*.seg")) // the pattern is right
		return names[len(names)-1]
	}
	write := func(name string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte("what?"), 0o600) }
	}
	for name, tt := range map[string]struct {
		do   func(dir string) error
		want []volume.OddityKind
		says string
	}{
		"nothing":                     {func(string) error { return nil }, nil, ""},
		"a file beside":               {write("notes.txt"), []volume.OddityKind{volume.OddFile}, "notes.txt"},
		"a file among segments":       {write("segments/1.seg"), []volume.OddityKind{volume.OddFile}, "1.seg"},
		"a file among directories":    {write("blobs/x"), []volume.OddityKind{volume.OddFile}, "blobs/x"},
		"what a crash leaves":         {write("volume.json.tmp"), nil, ""},
		"a temporary file":            {write("tmp/x"), nil, ""},
		"the identity is damaged":     {write("volume.json"), []volume.OddityKind{volume.OddIdentity}, "volume.json"},
		"the copy of it is":           {write("volume.copy.json"), []volume.OddityKind{volume.OddIdentity}, "volume.copy.json"},
		"the copy of it is gone":      {func(dir string) error { return os.Remove(filepath.Join(dir, "volume.copy.json")) }, []volume.OddityKind{volume.OddIdentity}, "volume.copy.json"},
		"the header of a segment":     {func(dir string) error { flipAt(t, first(dir), 3); return nil }, []volume.OddityKind{volume.OddSegment}, "its header is damaged"},
		"the header of a record":      {func(dir string) error { flipAt(t, last(dir), 64+5); return nil }, []volume.OddityKind{volume.OddSegment}, "records are damaged from byte 64"},
		"the segment of another":      {func(dir string) error { return copyFileTo(first(other), first(dir)) }, []volume.OddityKind{volume.OddSegment}, "does not open with it"},
		"a segment that was renamed":  {func(dir string) error { return os.Rename(first(dir), filepath.Join(dir, "segments", "000000ff.seg")) }, []volume.OddityKind{volume.OddSegment}, "renamed"},
		"a blob in another directory": {strayLarge, []volume.OddityKind{volume.OddFile}, "blobs/"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, from := range []string{killed, closed} {
				dir := copyTree(t, from)
				if err := tt.do(dir); err != nil {
					t.Fatal(err)
				}
				before := treeOf(t, dir)
				var got []volume.OddityKind
				says := ""
				id, err := volume.Inspect(vfs.OS(), dir, func(o volume.Oddity) {
					got = append(got, o.Kind)
					says += o.File + ": " + o.Detail + "\n"
				})
				if err != nil || id.Cluster != "cluster" || id.Volume == "" {
					t.Fatalf("%+v, %v", id, err)
				}
				if !slices.Equal(got, tt.want) || !strings.Contains(says, tt.says) {
					t.Errorf("found %v: %s", got, says)
				}
				if !maps.Equal(before, treeOf(t, dir)) {
					t.Error("something has changed")
				}
			}
		})
	}
}

func copyFileTo(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

// strayLarge moves a large blob to where no reader looks for it.
func strayLarge(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "blobs", "*", "*"))
	if err != nil {
		return err
	}
	stray := filepath.Join(dir, "blobs", "ff")
	return errors.Join(os.Mkdir(stray, 0o700), os.Rename(names[0], filepath.Join(stray, filepath.Base(names[0]))))
}

// TestInspectNoIdentity: where neither file can be read nothing can be said.
func TestInspectNoIdentity(t *testing.T) {
	t.Parallel()
	_, dir := fillDir(t, 2)
	for _, name := range []string{"volume.json", "volume.copy.json"} {
		flipAt(t, filepath.Join(dir, name), 5)
	}
	if _, err := volume.Inspect(vfs.OS(), dir, func(volume.Oddity) {}); err == nil {
		t.Error("no error")
	}
}
