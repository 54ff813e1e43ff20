package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"tdkvs/failpoint"
)

// TempSuffix marks a file that WriteFileAtomic had not finished. One that is
// found at start is the remains of a crash and can be removed.
const TempSuffix = ".tmp"

// WriteFileAtomic replaces the file name with data, durably: after a power cut
// at any instant the file holds its old content or the new one whole, and after
// nil the new one. One caller at a time per name. The order of the calls is
//
//	create name.tmp    a name of its own: the old content stays in place
//	write  name.tmp
//	fdatasync name.tmp before the rename, or a power cut could keep the new
//	                   name and lose the bytes: an empty file
//	close  name.tmp    before the rename: a late error (NFS, quota) still counts
//	rename to name     atomic: readers see the old file or the new
//	fsync directory    makes the new name durable; without it nil would lie
func WriteFileAtomic(fsys FS, name string, data []byte) error {
	tmp := name + TempSuffix
	if err := writeTemp(fsys, tmp, data); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	failpoint.At("file/synced")
	if err := fsys.Rename(tmp, name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	failpoint.At("file/renamed")
	if err := fsys.SyncDir(filepath.Dir(name)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func writeTemp(fsys FS, tmp string, data []byte) error {
	f, err := fsys.Create(tmp)
	if errors.Is(err, fs.ErrExist) { // left by a crash
		if err := fsys.Remove(tmp); err != nil {
			return err
		}
		f, err = fsys.Create(tmp)
	}
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		return errors.Join(err, f.Close(), fsys.Remove(tmp))
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close(), fsys.Remove(tmp))
	}
	if err := f.Close(); err != nil {
		return errors.Join(err, fsys.Remove(tmp))
	}
	return nil
}

// ReadFile returns the whole content of a small file.
func ReadFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.OpenRead(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	data := make([]byte, size)
	if n, err := f.ReadAt(data, 0); n < len(data) {
		return nil, errors.Join(fmt.Errorf("read %s: %w", name, unexpected(err)), f.Close())
	}
	return data, f.Close()
}

// unexpected says of an end of file that it came too early.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
