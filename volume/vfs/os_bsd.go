//go:build darwin || freebsd

package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes the bytes and the length of f durable. On macOS os.File.Sync
// is F_FULLFSYNC, which also empties the drive's cache.
func syncData(f *os.File) error { return f.Sync() }

func beginWriteOut(*os.File, int64, int64) error { return errors.ErrUnsupported }

func preallocate(*os.File, int64, int64) error { return errors.ErrUnsupported }

func spaceOf(st *unix.Statfs_t) Space {
	unit := uint64(st.Bsize)
	return Space{Total: uint64(st.Blocks) * unit, Free: uint64(st.Bavail) * unit}
}
