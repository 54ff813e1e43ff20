package compattests

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// bench is a disk on which a file system can be mounted: a file of a FUSE file system, as a loop device.
type bench struct {
	file   *diskFile
	device string // of the loop
	mounts string // the directory where it is mounted
	kind   string // of its file system
}

// newBench makes an empty disk. Where the kernel has no FUSE or no loop devices, or the tests may not use them, it skips
// the test and says so.
func newBench(t *testing.T, kind string) *bench {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: what a power cut leaves. This needs root, to mount file systems")
	}
	for _, name := range []string{"/dev/fuse", "/dev/loop-control"} {
		if f, err := os.OpenFile(name, os.O_RDWR, 0); err != nil {
			t.Skipf("NOT TESTED: what a power cut leaves. %v", err)
		} else {
			_ = f.Close() // nothing was written
		}
	}
	dir := t.TempDir()
	b := &bench{file: &diskFile{disk: newDisk(nil)}, mounts: filepath.Join(dir, "mnt"), kind: kind}
	served := filepath.Join(dir, "disk")
	if err := errors.Join(os.Mkdir(b.mounts, 0o700), os.Mkdir(served, 0o700)); err != nil {
		t.Fatal(err)
	}
	root := &fs.Inode{}
	server, err := fs.Mount(served, root, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMount: true, FsName: "tdkvs-power-cut", Name: "disk", MaxWrite: diskWrite, DisableXAttrs: true},
		OnAdd: func(ctx context.Context) {
			root.AddChild("image", root.NewPersistentInode(ctx, b.file, fs.StableAttr{Mode: fuse.S_IFREG}), false)
		},
	})
	if err != nil {
		t.Skipf("NOT TESTED: what a power cut leaves. FUSE can not be mounted here: %v", err)
	}
	t.Cleanup(func() { b.until(t, "unmount the disk", server.Unmount) })
	loop := tool{name: "losetup", args: []string{"--find", "--show", filepath.Join(served, "image")}}.try(t)
	if loop.code != 0 {
		t.Skipf("NOT TESTED: what a power cut leaves. No loop device: %s", loop.stderr)
	}
	b.device = strings.TrimSpace(string(loop.stdout))
	t.Cleanup(func() {
		b.until(t, "detach the loop device", func() error { return exec.Command("losetup", "--detach", b.device).Run() })
	})
	return b
}

// format makes the file system.
func (b *bench) format(t *testing.T) {
	t.Helper()
	args := []string{"-q", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", b.device}
	if b.kind == "xfs" {
		args = []string{"-q", "-K", b.device}
	}
	tool{name: "mkfs." + b.kind, args: args}.run(t)
}

// insert puts another disk in the place of this one, which is not mounted.
func (b *bench) insert(t *testing.T, d *disk, r *recording) {
	t.Helper()
	tool{name: "blockdev", args: []string{"--flushbufs", b.device}}.run(t) // nothing is to be known of the other
	b.file.insert(d, r)
}

// mount mounts the file system, which then finishes or undoes what was under way when the power went.
func (b *bench) mount(t *testing.T) error {
	t.Helper()
	return syscall.Mount(b.device, b.mounts, b.kind, syscall.MS_NOATIME, "")
}

func (b *bench) unmount(t *testing.T) {
	t.Helper()
	b.until(t, "unmount the file system", func() error { return syscall.Unmount(b.mounts, 0) })
}

// until does something again while it is refused because the kernel is not done with what was there before.
func (b *bench) until(t *testing.T, what string, do func() error) {
	t.Helper()
	err := do()
	for range 200 {
		if err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
		err = do()
	}
	t.Errorf("%s: %v", what, err)
}
