package compattests

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestRebalanceSpeed empties one volume of two without any limit, and says how fast that was beside plain copies of the same
// bytes on the same disk in the same run: of a file for each object, by workers that sync each, and of the volume's own
// directory. TDKVS_MOVE_MIB is how much moves, of either size of objects.
//
// Covers: PutObject, GetObject.
func TestRebalanceSpeed(t *testing.T) {
	t.Parallel()
	mib := sizeFromEnv(t, "TDKVS_MOVE_MIB", 16)
	for _, size := range []int{16 << 10, 8 << 20} {
		t.Run(fmt.Sprintf("%d KiB", size>>10), func(t *testing.T) { measureMoves(t, size, mib) })
	}
}

// moveWorkers is how many pieces are moved, and files copied, at the same time.
const moveWorkers = scaleWorkers

func measureMoves(t *testing.T, size, mib int) {
	d := startDeployment(t, clusterKind, settings{volumes: 2, garbageGrace: time.Hour})
	web := d.httpClient(t, scaleWorkers)
	objects := 2 * max(4, mib<<20/size) // about half of them lie on either volume
	d.putSized(t, web, objects, size)
	held := d.volumeList(t)[0]
	files, segments := speed{pieces: held.Blobs, bytes: held.Bytes}, speed{pieces: held.Blobs, bytes: held.Bytes}
	files.took = copyFiles(t, filepath.Join(d.dir, "plain"), held.Blobs, size)
	segments.took = copyTree(t, d.dataDirs[0], filepath.Join(d.dir, "copied"))

	d.mustAdmin(t, "rebalance", "limit", "-rate", "none", "-concurrency", fmt.Sprint(moveWorkers))
	began := time.Now()
	d.mustAdmin(t, "volume", "delete", "1")
	r := d.waitRebalanced(t)
	moved := speed{pieces: r.Moved, bytes: int64(r.Moved) * int64(size), took: time.Since(began)}
	if r.Moved != held.Blobs {
		t.Errorf("%d pieces have moved of %d", r.Moved, held.Blobs)
	}
	t.Logf("moved %v; plain copy, a synced file each %v: %.0f %%; the volume's directory, synced %v: %.0f %%", moved,
		files, 100*moved.share(files), segments, 100*moved.share(segments))
	for i := range objects {
		if body, err := d.nativeGet(web, fmt.Sprint("sized", i)); err != nil || sha(body) != sha(sizedBody(i, size)) {
			t.Fatalf("object %d: %d bytes, %v", i, len(body), err)
		}
	}
}

// speed is how fast something was.
type speed struct {
	pieces int
	bytes  int64
	took   time.Duration
}

func (s speed) String() string {
	return fmt.Sprintf("%d of %d KiB in %v: %.1f MiB/s, %.0f/s", s.pieces, s.bytes/int64(max(1, s.pieces))>>10, s.took.Round(time.Millisecond),
		float64(s.bytes)/(1<<20)/s.took.Seconds(), float64(s.pieces)/s.took.Seconds())
}

// share is the rate as a part of another.
func (s speed) share(of speed) float64 {
	return float64(s.bytes) / s.took.Seconds() / (float64(of.bytes) / of.took.Seconds())
}

func sizedBody(i, size int) []byte { return content(fmt.Sprint("sized", i), size) }

// putSized stores objects of one size.
func (d *deployment) putSized(t *testing.T, web *http.Client, objects, size int) {
	t.Helper()
	inParallel(t, objects, func(i int) error { return d.nativePut(web, fmt.Sprint("sized", i), sizedBody(i, size)) })
}

// copyFiles makes files of a size in one directory and returns how long it takes to copy them to another, each synced, and the
// directory at the end.
func copyFiles(t *testing.T, dir string, files, size int) time.Duration {
	t.Helper()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	for _, d := range []string{from, to} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	inParallel(t, files, func(i int) error { return os.WriteFile(filepath.Join(from, fmt.Sprint(i)), sizedBody(i, size), 0o600) })
	began := time.Now()
	inParallel(t, files, func(i int) error {
		return copySynced(filepath.Join(from, fmt.Sprint(i)), filepath.Join(to, fmt.Sprint(i)))
	})
	syncPath(t, to)
	return time.Since(began)
}

// copyTree copies a directory, each file synced, and returns how long that takes.
func copyTree(t *testing.T, from, to string) time.Duration {
	t.Helper()
	var files []string
	began := time.Now()
	err := filepath.WalkDir(from, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		files = append(files, rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	inParallel(t, len(files), func(i int) error { return copySynced(filepath.Join(from, files[i]), filepath.Join(to, files[i])) })
	syncPath(t, to)
	return time.Since(began)
}

// copySynced copies one file and syncs the copy.
func copySynced(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // read only
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err = io.Copy(dst, src); err == nil {
		err = dst.Sync()
	}
	if closing := dst.Close(); err == nil {
		err = closing
	}
	return err
}

func syncPath(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // read only
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}
