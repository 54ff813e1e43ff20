package vfs

import (
	"errors"
	"io"
	"io/fs"
	"sync/atomic"
)

// Frozen returns a view of a file system on which all changes seem to succeed, and
// none is made. Of what was done to an open file only its new length shows, and only
// to whoever has it open; what is made is a file that forgets what is written to it.
// It is for looking at a directory with code that would mend it on the way. Its locks
// are real, and are taken on files that exist.
func Frozen(fsys FS) FS { return frozenFS{fsys} }

type frozenFS struct{ FS }

func (f frozenFS) Create(name string) (File, error) { return &frozenFile{name: name}, nil }

func (f frozenFS) Open(name string) (File, error) { return f.OpenRead(name) }

func (f frozenFS) OpenRead(name string) (File, error) {
	file, err := f.FS.OpenRead(name)
	if err != nil {
		return nil, err
	}
	size, err := file.Size()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	frozen := &frozenFile{name: name, file: file}
	frozen.size.Store(size)
	return frozen, nil
}

func (frozenFS) Rename(string, string) error { return nil }
func (frozenFS) Remove(string) error         { return nil }
func (frozenFS) MkdirAll(string) error       { return nil }
func (frozenFS) SyncDir(string) error        { return nil }

// ReadDir takes a directory that is not there for one that was made.
func (f frozenFS) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := f.FS.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return entries, err
}

// Lock takes no lock where there is no file for it: nobody can have it then.
func (f frozenFS) Lock(name string) (io.Closer, error) {
	_, err := f.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return noLock{}, nil
	}
	if err != nil {
		return nil, err
	}
	return f.FS.Lock(name)
}

type noLock struct{}

func (noLock) Close() error { return nil }

// frozenFile is an open file of a frozen file system.
type frozenFile struct {
	name string
	file File // nil: one that was made
	size atomic.Int64
}

func (f *frozenFile) Name() string { return f.name }

func (f *frozenFile) Size() (int64, error) { return f.size.Load(), nil }

func (f *frozenFile) Truncate(size int64) error {
	f.size.Store(size)
	return nil
}

func (f *frozenFile) Allocate(int64, int64) error { return nil }
func (f *frozenFile) WriteOut(int64, int64) error { return nil }
func (f *frozenFile) Sync() error                 { return nil }

func (f *frozenFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// ReadAt reads what is on the disk, up to the length that the file seems to have.
func (f *frozenFile) ReadAt(p []byte, off int64) (int, error) {
	if f.file == nil {
		return 0, io.EOF
	}
	left := f.size.Load() - off
	if left >= int64(len(p)) {
		return f.file.ReadAt(p, off)
	}
	n, err := f.file.ReadAt(p[:max(0, left)], off)
	if err == nil {
		err = io.EOF
	}
	return n, err
}

func (f *frozenFile) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}
