package volume_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

// Fixtures are volumes that builds of the past have made, and what must be read back from them: testdata/fixture-*.tar.gz.
// TDKVS_FIXTURE, where set, is the name that a new one is kept under (make fixture).

// kept is what a blob of a fixture must be.
type kept struct {
	Size       int64
	Created    int64 // nanoseconds since 1970
	Payload    string
	Descriptor string
}

// manifestName is the file in the archive that says what must be there.
const manifestName = "manifest.json"

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// take describes what a store holds.
func take(t *testing.T, s *volume.Store) map[string]kept {
	t.Helper()
	all := map[string]kept{}
	infos, err1 := s.List(t.Context(), volume.BlobID{}, 1<<20)
	metadata, err2 := s.List(t.Context(), volume.MetadataStart(), 1<<20)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for _, info := range slices.Concat(infos, metadata) {
		stat, err1 := s.Stat(t.Context(), info.ID)
		payload, err2 := get(t.Context(), s, info.ID)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatalf("%v: %v", info.ID, err)
		}
		all[info.ID.String()] = kept{info.Size, info.Created.UnixNano(), hexSum(payload), hexSum(stat.Descriptor)}
	}
	return all
}

// plain makes a blob that compresses well.
func plain(n, size int) (volume.BlobID, []byte) {
	id, _ := blob(n, 0)
	line := fmt.Appendf(nil, "blob %d 0123456789abcdef\n", n)
	return id, bytes.Repeat(line, size/len(line)+1)[:size]
}

// makeFixture makes a volume with everything in it that a volume may hold, as a power cut leaves it.
func makeFixture(t *testing.T) (*vfs.Mem, map[string]kept) {
	t.Helper()
	mem := vfs.NewMem()
	cfg := small(mem)
	cfg.SmallLimit = 200 << 10
	cfg.SegmentSize = 2 << 20
	s := open(t, cfg)
	if err := s.Claim(t.Context(), "0b0e7a52-3c1d-4f5e-9a6b-7c8d9e0f1a2b"); err != nil {
		t.Fatal(err)
	}
	put := func(n, size, desc int) {
		t.Helper()
		id, payload := plain(n, size)
		if n >= 500 {
			id = volume.MetadataID(volume.MetadataEntry+volume.MetadataKind(n%2), uint64(n), 0)
		}
		if err := s.Put(t.Context(), id, int64(size), bytes.NewReader(payload), func() ([]byte, error) {
			return bytes.Repeat([]byte{byte(n)}, desc), nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i, size := range []int{0, 1, 7, 8, 65535, 65536, 65537, 131072, 199000, 250000, 700000, 1<<20 + 1} {
		put(i+1, size, []int{0, 1, 100, 65536}[i%4])
	}
	for n := 100; n < 140; n++ {
		put(n, 1000*(n%50), n)
	}
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	mustDelete(t, s, 2, 10, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114)
	for n := 200; n < 260; n++ { // to be mostly dead, and compacted
		put(n, 15000, 10)
	}
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	for n := 200; n < 250; n++ {
		mustDelete(t, s, n)
	}
	if compactAll(t, s) == 0 {
		t.Fatal("nothing was compacted")
	}
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	for n := 300; n < 320; n++ {
		put(n, 3000, 5)
	}
	mustDelete(t, s, 3, 300, 250)
	if err := s.MarkIdle(); err != nil {
		t.Fatal(err)
	}
	put(400, 5000, 5)
	for n := 500; n < 510; n++ {
		put(n, 4000, 0)
	}
	all := take(t, s)
	scrub := `{"format":1,"running":true,"began":"2026-01-02T03:04:05Z","finished":"0001-01-01T00:00:00Z","read":4096,"bad":0,` +
		`"position":{"large":false,"segment":1,"offset":64,"after":"00000000000000000000000000000000"}}` + "\n"
	if err := vfs.WriteFileAtomic(mem, dir+"/scrub.json", []byte(scrub)); err != nil {
		t.Fatal(err)
	}
	after := mem.CrashClone()
	closeStore(t, s)
	return after, all
}

// packFixture writes a volume and what must be there into an archive.
func packFixture(t *testing.T, mem *vfs.Mem, all map[string]kept) []byte {
	t.Helper()
	manifest, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	files := contents(t, mem, dir)
	files[dir+"/"+manifestName] = string(manifest)
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		head := &tar.Header{Name: strings.TrimPrefix(name, dir+"/"), Mode: 0o600, Size: int64(len(files[name]))}
		if err := w.WriteHeader(head); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unpackFixture is its opposite.
func unpackFixture(t *testing.T, archive []byte) (*vfs.Mem, map[string]kept) {
	t.Helper()
	mem, all := vfs.NewMem(), map[string]kept{}
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return mem, all
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if head.Name == manifestName {
			if err := json.Unmarshal(b, &all); err != nil {
				t.Fatal(err)
			}
			continue
		}
		name := dir + "/" + head.Name
		if err := errors.Join(mem.MkdirAll(filepath.Dir(name)), vfs.WriteFileAtomic(mem, name, b)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVolumeFixtures opens what builds of the past have left, and what this one leaves, reads everything back, and goes on
// to work with it.
func TestVolumeFixtures(t *testing.T) {
	t.Parallel()
	mem, all := makeFixture(t)
	today := packFixture(t, mem, all)
	archives := map[string][]byte{"today": today}
	if name := os.Getenv("TDKVS_FIXTURE"); name != "" {
		if err := os.WriteFile(filepath.Join("testdata", "fixture-"+name+".tar.gz"), today, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names, err := filepath.Glob(filepath.Join("testdata", "fixture-*.tar.gz"))
	if err != nil || len(names) == 0 {
		t.Fatalf("fixtures: %q, %v", names, err)
	}
	for _, name := range names {
		if archives[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, archive := range archives {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			openFixture(t, archive)
		})
	}
}

func openFixture(t *testing.T, archive []byte) {
	t.Helper()
	mem, want := unpackFixture(t, archive)
	if len(want) < 60 {
		t.Fatalf("the manifest has %d blobs", len(want))
	}
	cfg := small(mem)
	cfg.SmallLimit, cfg.SegmentSize = 200<<10, 2<<20
	for range 2 { // as it was left, and as an orderly end leaves it
		s := open(t, cfg)
		if got := take(t, s); !maps.Equal(got, want) {
			t.Fatalf("%d blobs are there, %d should be:\n%v\n%v", len(got), len(want), got, want)
		}
		if st, err := s.Status(t.Context()); err != nil || st.Quarantined != 0 || st.Cluster == "" {
			t.Errorf("status %+v, %v", st, err)
		}
		checkStore(t, s)
		closeStore(t, s)
	}
	s := open(t, cfg)
	mustPut2(t, s, 1000, 5000)
	mustDelete(t, s, 1, 11, 115, 116)
	for _, n := range []int{1, 11, 115, 116} {
		id, _ := blob(n, 0)
		delete(want, id.String())
	}
	compactAll(t, s)
	closeStore(t, s)
	s = open(t, cfg)
	defer closeStore(t, s)
	got := take(t, s)
	id, _ := blob(1000, 0)
	if delete(got, id.String()); !maps.Equal(got, want) {
		t.Errorf("after it was written to %d blobs are there, %d should be", len(got), len(want))
	}
}
