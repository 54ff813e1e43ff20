package compattests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// flip is one byte to be changed in a data file.
type flip struct {
	kind   string
	file   string
	offset int64
	mask   byte
	victim string // the object whose bytes lie there, where that is known
}

func (f flip) String() string {
	return fmt.Sprintf("%s: byte %d of %s xor %#02x (in the bytes of %q)", f.kind, f.offset, f.file, f.mask, f.victim)
}

// TestCorruption changes single bytes in the data files of a stopped store: within the bytes of an object, and anywhere.
// However that goes, no read may give a wrong byte, the object that lies there must fail, and the log must say why.
func TestCorruption(t *testing.T) {
	rounds := sizeFromEnv(t, "TDKVS_FLIP_ROUNDS", 6)
	eachDeployment(t, func(t *testing.T, d *deployment) {
		choices := newRand(seed(t), 0)
		c, b := d.sdk(t), "flipped"
		bucket(t, c, b)
		objects := map[string][]byte{}
		for i, size := range []int{1, 100, 1000, 5000, 30_000, 70_000, 150_000, 400_000, 1<<20 - 1, 1 << 20, 1<<20 + 1, 2 << 20, 3<<20 + 5, 4 << 20} {
			for copies := range 2 {
				key := fmt.Sprintf("%02d-%d", i, copies)
				objects[key] = content("flip "+key, size)
				put(t, c, b, key, objects[key])
			}
		}
		d.stop(t)
		d.keepData(t)
		for round := range rounds {
			f := d.chooseFlip(t, choices, objects, round)
			f.apply(t)
			before := d.logLength(t)
			d.start(t)
			failed := readDamaged(t, c, b, objects)
			t.Logf("round %d: %v: %d objects failed: %q", round, f, len(failed), failed)
			if f.kind == "identity" && len(failed) > 0 {
				t.Errorf("%v: failed %q, although the volume has a second copy of that file", f, failed)
			}
			if f.victim != "" && !slices.Equal(failed, []string{f.victim}) {
				t.Errorf("%v: failed %q, want %q", f, failed, f.victim)
			}
			if log := d.logFrom(t, before); f.kind == "identity" && !strings.Contains(log, "damaged") {
				t.Errorf("%v: the log says nothing of it:\n%s", f, log)
			} else if len(failed) > 0 && !regexp.MustCompile(`(?i)level=ERROR.*(corrupt|damage|checksum|crc)`).MatchString(log) {
				t.Errorf("%v: the log names no corruption:\n%s", f, log)
			}
			d.stop(t)
			d.restoreData(t)
		}
		d.start(t)
		if failed := readDamaged(t, c, b, objects); len(failed) > 0 {
			t.Errorf("with the bytes put back these fail: %q", failed)
		}
	})
}

// chooseFlip chooses by turns a byte of an object in a shared file, one of an object in a file of its own, any byte of any
// data file, one near the beginning or end of a data file, where headers and footers lie, and one of the files by which a
// volume knows itself.
func (d *deployment) chooseFlip(t testing.TB, choices *rand.Rand, objects map[string][]byte, round int) flip {
	t.Helper()
	kind := []string{"segments", "blobs", "any", "edge", "identity", "edge"}[round%6]
	files := d.dataFiles(t, kind)
	keys := slices.Sorted(mapKeys(objects))
	for range 10_000 {
		file := files[choices.IntN(len(files))]
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		raw = bytes.TrimRight(raw, "\x00") // space set aside
		if len(raw) == 0 {
			continue
		}
		f := flip{kind: kind, file: file, mask: byte(1 + choices.IntN(255)), offset: choices.Int64N(int64(len(raw)))}
		switch kind {
		case "edge":
			f.offset = choices.Int64N(min(int64(len(raw)), 300))
			if choices.IntN(2) == 0 {
				f.offset = int64(len(raw)) - 1 - f.offset
			}
			return f
		case "any", "identity":
			return f
		}
		key := keys[choices.IntN(len(keys))]
		body := objects[key]
		if len(body) < 100 {
			continue // too short to be found for certain
		}
		// Any 64 bytes within one checked block name their place.
		at := choices.IntN(len(body) - 64)
		if found := bytes.Index(raw, body[at:at+64]); found >= 0 {
			f.victim, f.offset = key, int64(found+choices.IntN(64))
			return f
		}
	}
	t.Fatalf("no object's bytes found in %s of %q", kind, d.dataDirs)
	return flip{}
}

func mapKeys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// dataFiles returns the files of a kind in all volumes: those shared by small objects lie below a folder named segments,
// those of one large object each below one named blobs, and volume*.json is who the volume is.
func (d *deployment) dataFiles(t testing.TB, kind string) []string {
	t.Helper()
	files := d.findFiles(t, kind)
	if len(files) == 0 {
		t.Fatalf("no data files of kind %s below %q", kind, d.dataDirs)
	}
	return files
}

// findFiles is dataFiles where there may be none. Files that vanish meanwhile are left out.
func (d *deployment) findFiles(t testing.TB, kind string) []string {
	t.Helper()
	var files []string
	for _, dir := range d.dataDirs {
		err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			if err != nil || e.IsDir() {
				return err
			}
			folders := strings.Split(filepath.Dir(path), string(filepath.Separator))
			segment, blob := slices.Contains(folders, "segments"), slices.Contains(folders, "blobs")
			wanted := segment && kind != "blobs" || blob && kind != "segments"
			if kind == "identity" {
				wanted = strings.HasPrefix(e.Name(), "volume") && strings.HasSuffix(e.Name(), ".json")
			}
			if wanted {
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func (f flip) apply(t testing.TB) {
	t.Helper()
	file, err := os.OpenFile(f.file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	_, err = file.ReadAt(b[:], f.offset)
	b[0] ^= f.mask
	if err == nil {
		_, err = file.WriteAt(b[:], f.offset)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// readDamaged reads all objects and returns the keys of those that failed. It fails the test for a wrong byte, and for an
// answer that denies an object instead of failing.
func readDamaged(t *testing.T, c *s3.Client, b string, objects map[string][]byte) []string {
	t.Helper()
	var failed []string
	for _, key := range slices.Sorted(mapKeys(objects)) {
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b, Key: &key})
		if err != nil {
			failed = append(failed, key)
			if status := statusOf(err); status != 0 && status < http.StatusInternalServerError {
				t.Errorf("%s: status %d of a damaged object: %v", key, status, err)
			}
			continue
		}
		got, err := io.ReadAll(out.Body)
		if !bytes.HasPrefix(objects[key], got) {
			t.Errorf("%s: wrong bytes served", key)
		}
		if err := errors.Join(err, out.Body.Close()); err != nil {
			failed = append(failed, key)
			continue
		}
		if len(got) != len(objects[key]) || aws.ToString(out.ETag) != etagOf(got) {
			t.Errorf("%s: %d bytes served of %d, without an error", key, len(got), len(objects[key]))
		}
	}
	return failed
}

// keepData copies the data directories of the stopped store aside; restoreData brings them back as they were.
func (d *deployment) keepData(t testing.TB) {
	d.copyData(t, func(dir string) (string, string) { return dir, dir + ".kept" })
}
func (d *deployment) restoreData(t testing.TB) {
	d.copyData(t, func(dir string) (string, string) { return dir + ".kept", dir })
}

func (d *deployment) copyData(t testing.TB, between func(dir string) (from, to string)) {
	t.Helper()
	for _, dir := range d.dataDirs {
		from, to := between(dir)
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
		tool{name: "cp", args: []string{"-a", "--sparse=always", from, to}}.run(t)
	}
}

// logLength returns the length of each process's log; logFrom returns all that was logged since.
func (d *deployment) logLength(t testing.TB) []int {
	t.Helper()
	var n []int
	for _, p := range d.processes() {
		n = append(n, len(p.log(t)))
	}
	return n
}

func (d *deployment) logFrom(t testing.TB, lengths []int) string {
	t.Helper()
	var s strings.Builder
	for i, p := range d.processes() {
		fmt.Fprintf(&s, "--- %s ---\n%s", p.name, p.log(t)[lengths[i]:])
	}
	return s.String()
}
