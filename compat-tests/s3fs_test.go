package compattests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// mount is a bucket that s3fs has mounted.
type mount struct {
	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when s3fs has ended
	log  limitedBuffer
}

// mountS3FS mounts a bucket. The test's cleanup unmounts it. An s3fs that hangs is ended after two minutes, so that what
// waits for it gets an error.
func (d *deployment) mountS3FS(t testing.TB, bucket string) *mount {
	t.Helper()
	path, err := exec.LookPath("s3fs")
	if err != nil {
		t.Fatal("s3fs is not installed; compat-tests/install-tools.sh installs it (Debian: apt-get install s3fs)")
	}
	scratch := t.TempDir()
	m := &mount{dir: filepath.Join(scratch, "mnt"), done: make(chan struct{})}
	passwd := filepath.Join(scratch, "passwd")
	if err := errors.Join(os.Mkdir(m.dir, 0o700), os.WriteFile(passwd, []byte(d.user()+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	// Parts of copies keep their size of 512 MiB: s3fs 1.90 cuts smaller ones below what S3 allows.
	options := fmt.Sprintf("passwd_file=%s,url=%s,use_path_request_style,endpoint=%s,sigv4,multipart_size=5,singlepart_copy_limit=5,parallel_count=4,retries=1,stat_cache_expire=1",
		passwd, d.url(), region)
	m.cmd = exec.CommandContext(ctx, path, bucket, m.dir, "-f", "-o", options)
	m.cmd.Env, m.cmd.Stdout, m.cmd.Stderr = neutralEnv(), &m.log, &m.log
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = m.cmd.Wait() // it ends by being unmounted; how is seen in the mount
		cancel()
		close(m.done)
	}()
	t.Cleanup(func() { m.unmount(t) })
	m.waitMounted(t)
	return m
}

func (m *mount) waitMounted(t testing.TB) {
	t.Helper()
	var below, above syscall.Stat_t
	for range 1000 {
		errBelow, errAbove := syscall.Stat(m.dir, &below), syscall.Stat(filepath.Dir(m.dir), &above)
		if errBelow == nil && errAbove == nil && below.Dev != above.Dev {
			return
		}
		select {
		case <-m.done:
			t.Fatalf("s3fs could not mount: %s", m.log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("s3fs did not mount: %s", m.log.String())
}

// unmount writes everything out and ends s3fs. Done twice it does nothing.
func (m *mount) unmount(t testing.TB) {
	t.Helper()
	select {
	case <-m.done:
		return
	default:
	}
	if out, err := exec.Command("fusermount", "-u", m.dir).CombinedOutput(); err != nil {
		t.Errorf("unmount: %v: %s", err, out)
		_ = exec.Command("fusermount", "-uz", m.dir).Run() // whatever still holds it
		_ = m.cmd.Process.Kill()                           // may have ended meanwhile
	}
	<-m.done
}

// canMount reports whether this machine lets a process mount file systems of its own, and why not.
func canMount() error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	_, err = exec.LookPath("fusermount")
	return err
}

// TestS3FS uses a bucket as a file system, mounts it again, and compares what the SDK finds in it. Where mounting is
// impossible it checks nothing; install-tools.sh says so when `make test` begins.
//
// Covers: PutObject, GetObject, HeadObject, CopyObject, UploadPart, UploadPartCopy, CompleteMultipartUpload.
// Covers: DeleteObject, ListObjects.
func TestS3FS(t *testing.T) {
	if err := canMount(); err != nil {
		t.Logf("NOT TESTED: nothing can be mounted on this machine: %v", err)
		return
	}
	eachDeployment(t, func(t *testing.T, d *deployment) {
		c := d.sdk(t)
		b := bucket(t, c, "mounted")
		m := d.mountS3FS(t, b)
		want := map[string][]byte{}
		m.testSmallFiles(t, want)
		m.testBigFile(t, want)
		m.testFolders(t, want)
		tree := sampleTree(t)
		tool{name: "cp", args: []string{"-r", tree, filepath.Join(m.dir, "tree")}}.run(t)
		sameTree(t, filepath.Join(m.dir, "tree"), tree)
		m.unmount(t)
		for name, body := range want {
			sameBytes(t, name+" as an object", get(t, c, b, name), body)
		}
		put(t, c, b, "dir/by the SDK", []byte("put beside the mount"))
		again := d.mountS3FS(t, b)
		for name, body := range want {
			again.wantFile(t, name, body)
		}
		again.wantFile(t, "dir/by the SDK", []byte("put beside the mount"))
		sameTree(t, filepath.Join(again.dir, "tree"), tree)
		if err := os.RemoveAll(filepath.Join(again.dir, "tree")); err != nil {
			t.Error(err)
		}
		again.unmount(t)
		uploads, err := c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &b})
		if err != nil || len(uploads.Uploads) != 0 {
			t.Errorf("uploads left behind: %+v, %v", uploads, err)
		}
		left, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &b, Prefix: aws.String("tree")})
		if err != nil || len(left.Contents) != 0 {
			t.Errorf("rm -r left %d objects, %v", len(left.Contents), err)
		}
	})
}

func (m *mount) path(name string) string { return filepath.Join(m.dir, filepath.FromSlash(name)) }

func (m *mount) wantFile(t *testing.T, name string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(m.path(name))
	if err != nil {
		t.Error(err)
		return
	}
	sameBytes(t, name, got, want)
}

// write writes at an offset (-1: the end) of a file, which it makes where it is missing, syncs it and closes it.
func (m *mount) write(t *testing.T, name string, at int64, body []byte) {
	t.Helper()
	f, err := os.OpenFile(m.path(name), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		at = info.Size()
	}
	_, err = f.WriteAt(body, at)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatalf("write %d bytes at %d of %s: %v", len(body), at, name, err)
	}
}

// truncate cuts a file off after reading it: without that s3fs 1.90 cuts off what it never fetched and writes zeros.
func (m *mount) truncate(t *testing.T, name string, size int64) {
	t.Helper()
	f, err := os.OpenFile(m.path(name), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, f)
	if err := errors.Join(err, f.Truncate(size), f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// testSmallFiles creates, appends, overwrites, truncates, renames and removes.
func (m *mount) testSmallFiles(t *testing.T, want map[string][]byte) {
	t.Helper()
	m.write(t, "empty", 0, nil)
	m.write(t, "a b+ü%.txt", 0, []byte("hello"))
	m.write(t, "a b+ü%.txt", -1, []byte(", world"))
	m.write(t, "a b+ü%.txt", 0, []byte("J"))
	m.write(t, "short", 0, content("short", 200_000))
	m.write(t, "gone", 0, []byte("x"))
	m.truncate(t, "short", 70_001)
	err := errors.Join(os.Remove(m.path("gone")), os.Chmod(m.path("short"), 0o604),
		os.Rename(m.path("a b+ü%.txt"), m.path("renamed & moved")), os.Symlink("short", m.path("link")))
	if err != nil {
		t.Fatal(err)
	}
	want["empty"], want["renamed & moved"], want["short"] = nil, []byte("Jello, world"), content("short", 200_000)[:70_001]
	if info, err := os.Stat(m.path("short")); err != nil || info.Mode().Perm() != 0o604 || info.Size() != 70_001 {
		t.Errorf("stat: %v, %v", info, err)
	}
	m.wantFile(t, "link", want["short"])
	if _, err := os.Stat(m.path("gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a removed file: %v", err)
	}
}

// testBigFile writes a file in parts, changes its middle and its end, and renames it, which copies it in parts.
func (m *mount) testBigFile(t *testing.T, want map[string][]byte) {
	t.Helper()
	body := content("big", 23<<20)
	m.write(t, "big", 0, body)
	m.wantFile(t, "big", body)
	patch, tail := content("patch", 100_000), content("tail", 2<<20)
	m.write(t, "big", 11<<20, patch)
	m.write(t, "big", -1, tail)
	copy(body[11<<20:], patch)
	body = append(body, tail...)
	if err := os.Rename(m.path("big"), m.path("big.bin")); err != nil {
		t.Fatal(err)
	}
	want["big.bin"] = body
	m.wantFile(t, "big.bin", body)
	f, err := os.Open(m.path("big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	middle := make([]byte, 300_000)
	_, err = f.ReadAt(middle, 11<<20-1000)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Error(err)
	}
	sameBytes(t, "the middle", middle, body[11<<20-1000:11<<20+299_000])
}

// testFolders makes, lists, renames and removes folders.
func (m *mount) testFolders(t *testing.T, want map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(m.path("dir/sub/deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range 20 {
		name := fmt.Sprintf("n%02d", i)
		names = append(names, name)
		m.write(t, "dir/sub/"+name, 0, bytes.Repeat([]byte(name), i))
		want["dir/moved/"+name] = bytes.Repeat([]byte(name), i)
	}
	if err := os.Remove(m.path("dir/sub")); err == nil {
		t.Error("a folder with files was removed")
	}
	if err := errors.Join(os.Remove(m.path("dir/sub/deep")), os.Rename(m.path("dir/sub"), m.path("dir/moved"))); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(m.path("dir/moved"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, names) {
		t.Errorf("listed %q, want %q", got, names)
	}
}
