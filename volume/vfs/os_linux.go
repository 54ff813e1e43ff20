package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes the bytes and the length of f durable, without its times.
func syncData(f *os.File) error { return onDescriptor(f, "fdatasync", unix.Fdatasync) }

// beginWriteOut starts to write dirty pages. It wraps errors.ErrUnsupported where the
// file system can not.
func beginWriteOut(f *os.File, off, n int64) error {
	return onDescriptor(f, "sync_file_range", func(fd int) error {
		return unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WRITE)
	})
}

// preallocate reserves disk space. It wraps errors.ErrUnsupported where the
// file system can not.
func preallocate(f *os.File, off, n int64) error {
	return onDescriptor(f, "fallocate", func(fd int) error {
		return unix.Fallocate(fd, 0, off, n)
	})
}

func spaceOf(st *unix.Statfs_t) Space {
	// Blocks are counted in fragments; old kernels and some FUSE file systems
	// leave the fragment size out.
	unit := uint64(st.Frsize)
	if unit == 0 {
		unit = uint64(st.Bsize)
	}
	return Space{Total: st.Blocks * unit, Free: st.Bavail * unit}
}
