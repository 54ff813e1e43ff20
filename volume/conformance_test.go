package volume_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
	"tdkvs/volume/volumetest"
)

// opened remembers how the stores of a suite were opened, to open them again.
type opened struct {
	mu      sync.Mutex
	configs map[volume.Blobs]volume.Config
}

func (o *opened) open(t *testing.T, cfg volume.Config) volume.Blobs {
	t.Helper()
	s, err := volume.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	o.configs[s] = cfg
	return s
}

func (o *opened) config(b volume.Blobs) volume.Config {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.configs[b]
}

func (o *opened) reopen(t *testing.T, b volume.Blobs) volume.Blobs {
	t.Helper()
	if err := b.(*volume.Store).Close(); err != nil {
		t.Fatal(err)
	}
	return o.open(t, o.config(b))
}

// corrupt changes a byte of a blob by searching the files for the blob's id.
func (o *opened) corrupt(t *testing.T, b volume.Blobs, id volume.BlobID, offset int64) {
	t.Helper()
	cfg := o.config(b)
	const header, sum = 64, 4
	at := header + offset + offset/volume.BlockSize*sum
	name, record := findRecord(t, cfg, id)
	f, err := cfg.FS.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	var one [1]byte
	_, readErr := f.ReadAt(one[:], record+at)
	one[0] ^= 0x10
	_, writeErr := f.WriteAt(one[:], record+at)
	if err := errors.Join(readErr, writeErr, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// findRecord returns the file that holds a blob's record, and where.
func findRecord(t *testing.T, cfg volume.Config, id volume.BlobID) (name string, at int64) {
	t.Helper()
	for _, name := range files(t, cfg.FS, cfg.Dir) {
		if strings.HasPrefix(filepath.Base(name), id.String()) {
			return name, 0
		}
		if filepath.Ext(name) != ".seg" {
			continue
		}
		data, err := vfs.ReadFile(cfg.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		if i := strings.Index(string(data), string(id[:])); i >= 0 {
			return name, int64(i) - 8
		}
	}
	t.Fatalf("no file holds %s", id)
	return "", 0
}

// files returns the paths of all files beneath a directory.
func files(t *testing.T, fsys vfs.FS, dir string) []string {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		if entry.IsDir() {
			names = append(names, files(t, fsys, name)...)
		} else {
			names = append(names, name)
		}
	}
	return names
}

func runConformance(t *testing.T, config func(t *testing.T) volume.Config) {
	o := &opened{configs: map[volume.Blobs]volume.Config{}}
	volumetest.RunFactory(t, volumetest.Factory{
		Open:    func(t *testing.T) volume.Blobs { return o.open(t, config(t)) },
		Reopen:  o.reopen,
		Corrupt: o.corrupt,
	})
}

func TestConformanceMem(t *testing.T) {
	t.Parallel()
	runConformance(t, func(t *testing.T) volume.Config {
		return volume.Config{FS: vfs.NewMem(), Dir: "/volume", Logger: slog.New(slog.DiscardHandler), Reserve: -1}
	})
}

// TestConformanceShortOfMemory runs the suite while others have used up the
// memory for payloads: of writers and of readers, or of readers alone.
func TestConformanceShortOfMemory(t *testing.T) {
	t.Parallel()
	for what, write := range map[string]int64{"writers and readers": 0, "readers": volume.DefaultBudget} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			runConformance(t, func(*testing.T) volume.Config {
				return volume.Config{
					FS: vfs.NewMem(), Dir: "/volume", Logger: slog.New(slog.DiscardHandler), Reserve: -1,
					WriteBudget: volume.NewBudget(write), ReadBudget: volume.NewBudget(0),
				}
			})
		})
	}
}

// TestConformanceGivesMemoryBack runs the suite with budgets that are just enough
// for a few, and looks whether all of it came back.
func TestConformanceGivesMemoryBack(t *testing.T) {
	t.Parallel()
	const enough = 3 << 20
	runConformance(t, func(t *testing.T) volume.Config {
		write, read := volume.NewBudget(enough), volume.NewBudget(enough)
		t.Cleanup(func() {
			if !write.Take(enough) || !read.Take(enough) || write.Take(1) || read.Take(1) {
				t.Error("a budget is not what it was at the beginning")
			}
		})
		return volume.Config{
			FS: vfs.NewMem(), Dir: "/volume", Logger: slog.New(slog.DiscardHandler), Reserve: -1, WriteBudget: write, ReadBudget: read,
		}
	})
}

func TestConformanceOS(t *testing.T) {
	t.Parallel()
	runConformance(t, func(t *testing.T) volume.Config {
		return volume.Config{FS: vfs.OS(), Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Reserve: -1}
	})
}

// TestConformanceTiny runs the suite with limits so small that every path is
// taken: most blobs are large, segments are sealed all the time.
func TestConformanceTiny(t *testing.T) {
	t.Parallel()
	runConformance(t, func(t *testing.T) volume.Config {
		return volume.Config{
			FS: vfs.NewMem(), Dir: "/volume", Logger: slog.New(slog.DiscardHandler), Reserve: -1,
			SmallLimit: 4096, SegmentSize: 300 << 10, PreallocateStep: 1,
		}
	})
}
