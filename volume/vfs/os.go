//go:build unix

package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// OS returns the file system of the operating system.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Create(name string) (File, error) {
	return openOS(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func (osFS) Open(name string) (File, error)     { return openOS(name, os.O_RDWR) }
func (osFS) OpenRead(name string) (File, error) { return openOS(name, os.O_RDONLY) }

func (osFS) Rename(oldName, newName string) error       { return os.Rename(oldName, newName) }
func (osFS) Remove(name string) error                   { return os.Remove(name) }
func (osFS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (osFS) Stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }

func (osFS) MkdirAll(name string) error {
	return mkdirAll(name, osFS{}, func(dir string) error { return os.Mkdir(dir, dirMode) })
}

func (osFS) SyncDir(name string) error {
	dir, err := os.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	// Entries are metadata, so this is fsync, not fdatasync. A file system that
	// can not do it is refused: nothing stored on it would be safe.
	if err := dir.Sync(); err != nil {
		_ = dir.Close() // opened for reading: nothing to lose
		return err
	}
	return dir.Close()
}

func (osFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	// flock belongs to the open file, not to the process, so a second Lock in
	// this process fails too, and closing another descriptor releases nothing.
	err = onDescriptor(f, "flock", func(fd int) error {
		return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	})
	if err == nil {
		return f, nil
	}
	_ = f.Close() // holds nothing
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("%s: %w", name, ErrLocked)
	}
	return nil, err
}

func (osFS) Space(name string) (Space, error) {
	var st unix.Statfs_t
	err := retryInterrupted(func() error { return unix.Statfs(name, &st) })
	if err != nil {
		return Space{}, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	return spaceOf(&st), nil
}

type osFile struct{ *os.File }

func openOS(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, fileMode)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Sync() error { return syncData(f.File) }

func (f osFile) WriteOut(off, n int64) error {
	err := beginWriteOut(f.File, off, n)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil // Sync does all of it
	}
	return err
}

func (f osFile) Allocate(off, n int64) error {
	if off < 0 || n < 0 {
		return &fs.PathError{Op: "allocate", Path: f.Name(), Err: unix.EINVAL}
	}
	if n == 0 {
		return nil
	}
	err := preallocate(f.File, off, n)
	if errors.Is(err, errors.ErrUnsupported) {
		return f.writeZeros(off + n)
	}
	return err
}

// writeZeros extends the file to end with written zeros, for file systems
// without fallocate. Holes below the present length stay holes. The caller must
// not write beyond the present length meanwhile.
func (f osFile) writeZeros(end int64) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	zeros := make([]byte, min(64<<10, max(0, end-size)))
	for size < end {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), end-size)], size)
		size += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// onDescriptor runs call on the file's descriptor, which can not be closed and
// reused meanwhile, again while it is interrupted by a signal.
func onDescriptor(f *os.File, op string, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	err = conn.Control(func(fd uintptr) {
		callErr = retryInterrupted(func() error { return call(int(fd)) })
	})
	if err != nil { // only a closed file has no descriptor
		callErr = fs.ErrClosed
	}
	if callErr != nil {
		return &fs.PathError{Op: op, Path: f.Name(), Err: callErr}
	}
	return nil
}

func retryInterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
