package compattests

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sys/unix"
)

const (
	smallDisk  = 400 << 20 // bytes
	bulkSize   = 4 << 20
	bulkMost   = 48
	spaceAgain = 30 * time.Second // for a store to notice that there is room
)

// TestFullDisks fills disks to the last byte, while clients write and at once, keeps them full, kills the store and starts
// it again. Writes are refused with 507, what was acknowledged is read and listed, deletions win space back, and writes come
// back by themselves.
//
// Covers: PutObject, GetObject, DeleteObject, ListObjectsV2.
func TestFullDisks(t *testing.T) {
	most := sizeFromEnv(t, "TDKVS_FULL_DISKS", 2)
	t.Parallel()
	for _, c := range []struct {
		name  string
		kind  string
		lines string
		full  func(d *deployment) []string // the disks that fill up
		takes bool                         // writes go on all the same
	}{
		{name: "server", kind: serverKind, full: func(d *deployment) []string { return d.dataDirs }},
		{name: "every disk of a cluster", kind: clusterKind, full: func(d *deployment) []string { return append([]string{d.metadataDir()}, d.dataDirs...) }},
		{name: "master", kind: clusterKind, full: func(d *deployment) []string { return []string{d.metadataDir()} }},
		{name: "one volume of three", kind: clusterKind, full: func(d *deployment) []string { return d.dataDirs[:1] }, takes: true},
		{name: "one volume of three copies", kind: clusterKind, lines: "replicas: 3\n", full: func(d *deployment) []string { return d.dataDirs[:1] }, takes: true},
	}[:min(most, 5)] {
		t.Run(c.name, func(t *testing.T) {
			f := newFullDisks(t, c.kind, c.lines)
			f.fillWhileWriting(t, c.full(f.d))
			f.whileFull(t, c.takes)
			f.restart(t)
			f.whileFull(t, c.takes)
			f.winBack(t)
			f.giveBack(t)
			f.crew.check(t)
			f.d.wantWhole(t)
		})
	}
}

// TestFullDiskCanFail: a store for which disk space that it takes in advance is not really taken dies of a full disk.
func TestFullDiskCanFail(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, serverKind, settings{})
	for _, dir := range d.dataDirs {
		mountDisk(t, dir)
	}
	d.front.without = "fallocate"
	d.front.mayDie = true
	d.leaveUnchecked("it dies of a full disk, and its disks are gone")
	t.Cleanup(func() { d.front.kill(t) }) // before the disks go
	d.start(t)
	crew := newCrew(t, d, seed(t))
	crew.prepare(t)
	f := &fullDisks{d: d}
	defer f.release(t)
	w := crew.writers[1]
	const objects = 400 // deleting them takes some pages of the log
	for j := range objects {
		if err := w.put(fmt.Sprint("doomed ", j), nil); err != nil {
			t.Fatal(err)
		}
	}
	for j := 0; j < objects && d.front.alive(); j++ {
		f.fill(t, d.dataDirs)
		_ = w.remove(fmt.Sprint("doomed ", j)) // as long as there is somebody
	}
	if !d.front.alive() {
		if !strings.Contains(d.front.log(t), "SIGBUS") {
			t.Errorf("the store has died of something else\n%s", d.front.logTail())
		}
		return
	}
	t.Error("the store lives on a full disk without having taken space in advance: the test shows nothing")
}

// metadataDir is the directory that the metadata is kept in.
func (d *deployment) metadataDir() string {
	if d.kind == serverKind {
		return filepath.Join(d.dataDirs[0], "meta")
	}
	return filepath.Join(filepath.Dir(d.dataDirs[0]), "master")
}

// mountDisk puts a directory on a small file system of its own, in memory.
func mountDisk(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", smallDisk)); err != nil {
		t.Skipf("NOT TESTED: full disks. A file system in memory can not be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// fullDisks is a store whose disks are filled by somebody else.
type fullDisks struct {
	d       *deployment
	crew    *crew
	bulk    []string // keys of large objects
	s3      *s3.Client
	fillers []*os.File
	filled  []string
}

func newFullDisks(t *testing.T, kind, lines string) *fullDisks {
	t.Helper()
	d := newDeployment(t, kind, settings{garbageGrace: 200 * time.Millisecond, lines: lines + "log: {level: warn}\n"})
	dirs := d.dataDirs
	if kind == clusterKind {
		dirs = append([]string{d.metadataDir()}, dirs...)
	}
	for _, dir := range dirs {
		mountDisk(t, dir)
	}
	t.Cleanup(func() { // before the disks go
		d.stop(t)
		d.wantWholeStopped(t)
		d.leaveUnchecked("it was, and its disks are gone")
	})
	d.start(t)
	f := &fullDisks{d: d, crew: newCrew(t, d, seed(t)), s3: d.sdk(t)}
	t.Cleanup(func() { f.release(t) })
	f.crew.prepare(t)
	most := bulkMost
	if lines != "" {
		most /= 3
	}
	for i := range most {
		key := fmt.Sprintf("bulk/%03d", i)
		_, err := f.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(crewBucket), Key: &key, Body: bytes.NewReader(bulkBody(i))})
		if err != nil {
			t.Fatal(err)
		}
		f.bulk = append(f.bulk, key)
	}
	return f
}

func bulkBody(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%015d\n", i), bulkSize/16) }

// fill takes all that is free on the disks, at once.
func (f *fullDisks) fill(t testing.TB, dirs []string) {
	t.Helper()
	for _, dir := range dirs {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			t.Fatal(err)
		}
		if st.Bavail == 0 {
			continue
		}
		file, err := os.CreateTemp(dir, "of-somebody-else-")
		if err != nil {
			t.Fatal(err)
		}
		f.fillers = append(f.fillers, file)
		if err := unix.Fallocate(int(file.Fd()), 0, 0, int64(st.Bavail)*st.Bsize); err != nil && !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
}

// fillWhileWriting fills the disks while clients write, and goes on as long as the store gives something back.
func (f *fullDisks) fillWhileWriting(t *testing.T, dirs []string) {
	t.Helper()
	f.filled = dirs
	stop := f.crew.work()
	time.Sleep(700 * time.Millisecond)
	var filling sync.WaitGroup
	filling.Go(func() {
		for range 40 {
			f.fill(t, dirs)
			time.Sleep(25 * time.Millisecond)
		}
	})
	filling.Wait()
	stop()
	if f.crew.acknowledged() == 0 {
		t.Error("nothing was acknowledged before the disks were full")
	}
}

// whileFull checks what a store on full disks does.
func (f *fullDisks) whileFull(t *testing.T, takes bool) {
	t.Helper()
	for _, p := range f.d.processes() {
		if !p.alive() {
			t.Fatalf("%s died of a full disk\n%s", p.name, p.logTail())
		}
	}
	if n := len(listAll(t, f.s3, crewBucket)); n < len(f.bulk) {
		t.Errorf("%d keys are listed", n)
	}
	for _, err := range f.crew.wrong(t.Context()) {
		t.Error(err)
	}
	web := f.crew.writers[0].web
	native, small := f.d.nativePut(web, "more", []byte("more")), f.crew.writers[1].put("more too", []byte("more"))
	if takes {
		if err := errors.Join(f.d.native(web, http.MethodDelete, "/delete/more", nil), f.crew.writers[1].remove("more too")); err != nil {
			t.Error(err)
		}
	}
	for door, err := range map[string]error{"native": native, "S3": small} {
		if takes && err != nil {
			t.Errorf("%s: a write while others have room: %v", door, err)
		}
		if status := statusOf(err); !takes && status != http.StatusInsufficientStorage {
			t.Errorf("%s: a write to a full store is answered %d (%v), want 507", door, status, err)
		}
	}
	status := f.d.mustAdmin(t, "status")
	if !strings.Contains(status, "FULL: ") {
		t.Errorf("admin status does not say that a disk is full:\n%s", status)
	}
}

// restart kills everything and starts it again. The disks are full all the time.
func (f *fullDisks) restart(t *testing.T) {
	t.Helper()
	for _, p := range f.d.processes() {
		p.kill(t)
	}
	for _, p := range f.d.processes() {
		p.start(t)
	}
	f.eventually(t, "a start on full disks", func() error {
		if up, text := f.d.probe("/-/healthz"); !up {
			return errors.New(text)
		}
		_, err := f.s3.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(crewBucket)})
		return err
	})
	for range 2 { // what a start gives back is somebody else's at once
		f.fill(t, f.filled)
		time.Sleep(1100 * time.Millisecond) // the store looks once a second
	}
}

// winBack deletes the large objects, and waits until writes are taken: nobody else has given anything back.
func (f *fullDisks) winBack(t *testing.T) {
	t.Helper()
	for i, key := range f.bulk {
		out, err := f.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(crewBucket), Key: &key})
		if err != nil {
			t.Fatalf("%s, written before the disks were full: %v", key, err)
		}
		var got bytes.Buffer
		if _, err := got.ReadFrom(out.Body); err != nil || !bytes.Equal(got.Bytes(), bulkBody(i)) {
			t.Errorf("%s: %d bytes, %v", key, got.Len(), err)
		}
		f.eventually(t, "a deletion from a full store", func() error {
			_, err := f.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(crewBucket), Key: &key})
			return err
		})
	}
	if slices.Contains(f.filled, f.d.metadataDir()) {
		return // the objects lie elsewhere
	}
	f.eventually(t, "writes after deletions", f.write)
}

// giveBack removes what others have filled the disks with.
func (f *fullDisks) giveBack(t *testing.T) {
	t.Helper()
	f.release(t)
	f.eventually(t, "writes once there is room", f.write)
	f.d.waitReady(t)
}

func (f *fullDisks) write() error {
	err := f.crew.writers[1].put("more", []byte("more"))
	if err != nil {
		return err
	}
	return f.crew.writers[1].remove("more")
}

func (f *fullDisks) release(t testing.TB) {
	t.Helper()
	for _, file := range f.fillers {
		if err := errors.Join(file.Close(), os.Remove(file.Name())); err != nil {
			t.Error(err)
		}
	}
	f.fillers = nil
}

func (f *fullDisks) eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(spaceAgain); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s: not within %v: %v\n%s", what, spaceAgain, err, f.d.front.logTail())
}
