package vfs

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
)

const (
	fileMode = 0o600
	dirMode  = 0o700
)

// mkdirAll creates name and its missing parents by mkdir, syncing the parent of
// each before it makes the next. It also syncs the parent of the deepest
// directory that was already there: a process killed between mkdir and sync
// leaves one such entry behind, and nobody else would make it durable.
func mkdirAll(name string, fsys FS, mkdir func(string) error) error {
	name = filepath.Clean(name)
	parent := filepath.Dir(name)
	info, err := fsys.Stat(name)
	switch {
	case err == nil && !info.IsDir():
		return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
	case err == nil && parent == name:
		return nil
	case err == nil:
		err := fsys.SyncDir(parent)
		if errors.Is(err, fs.ErrPermission) {
			return nil // a directory above ours, that somebody else made
		}
		return err
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if parent == name {
		return err
	}
	if err := mkdirAll(parent, fsys, mkdir); err != nil {
		return err
	}
	if err := mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return fsys.SyncDir(parent)
}
