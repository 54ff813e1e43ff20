package vfs

import (
	"errors"
	"io"
	"io/fs"
)

// ErrLocked is what Lock fails with when another holder exists.
var ErrLocked = errors.New("locked by another process")

// FS is a file system. Names are paths as the operating system takes them.
// Errors wrap fs.ErrNotExist, fs.ErrExist and syscall.ENOSPC where they apply.
//
// A created, renamed or removed name survives a power cut only after SyncDir of
// the directory that holds it; written bytes only after File.Sync.
type FS interface {
	// Create makes a new file, open for reading and writing. It is an error
	// wrapping fs.ErrExist when the name is taken.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// OpenRead opens an existing file for reading only.
	OpenRead(name string) (File, error)
	// Rename replaces newName atomically.
	Rename(oldName, newName string) error
	Remove(name string) error
	// MkdirAll makes a directory and its parents, mode 0700, and syncs each
	// directory that received a new entry.
	MkdirAll(name string) error
	ReadDir(name string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the entries of a directory durable.
	SyncDir(name string) error
	// Lock takes an exclusive, process-wide lock on a file, making it if need
	// be, and fails at once with ErrLocked when another holder exists. Closing
	// the result, or the death of the process, releases it.
	Lock(name string) (io.Closer, error)
	// Space reports the capacity of the file system that holds name.
	Space(name string) (Space, error)
}

// File is an open file. Its methods may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Name() string
	Size() (int64, error)
	Truncate(size int64) error
	// Allocate makes sure that the bytes [off, off+n) have disk space and that
	// the file is at least off+n long; new bytes read as zero.
	Allocate(off, n int64) error
	// WriteOut begins to write the bytes [off, off+n) to the disk, and does not wait
	// for the end: a Sync that comes later finds the less to do. Nothing is durable by
	// it, and where the system can not do it, it does nothing. Its failure is that of a
	// write.
	WriteOut(off, n int64) error
	// Sync makes the file's bytes and length durable (fdatasync). After a
	// failure the state of the bytes is unknown: never retry, seal the file.
	Sync() error
}

// Space is the capacity of a file system in bytes.
type Space struct {
	Total uint64
	Free  uint64 // available to this process
}
