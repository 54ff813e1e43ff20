package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"tdkvs/volume/vfs"
)

// Dir is a directory with backups.
type Dir struct {
	fsys vfs.FS
	root string
	mu   sync.Mutex
	made map[string]bool // directories that are there
}

// NewDir returns the place in a directory, which need not exist.
func NewDir(root string) *Dir { return &Dir{fsys: vfs.OS(), root: root, made: make(map[string]bool)} }

func (d *Dir) String() string { return d.root }

func (d *Dir) path(name string) string { return filepath.Join(d.root, filepath.FromSlash(name)) }

// Put implements Place.
func (d *Dir) Put(ctx context.Context, name string, content []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	file := d.path(name)
	if err := d.mkdir(filepath.Dir(file)); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	return vfs.WriteFileAtomic(d.fsys, file, content)
}

func (d *Dir) mkdir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.made[dir] {
		return nil
	}
	err := d.fsys.MkdirAll(dir)
	d.made[dir] = err == nil
	return err
}

// Get implements Place.
func (d *Dir) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	return d.read(ctx, name, func(size int64) (offset, length int64, err error) {
		if size > limit {
			return 0, 0, damaged("%s has %d bytes", name, size)
		}
		return 0, size, nil
	})
}

// GetRange implements Place.
func (d *Dir) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	return d.read(ctx, name, func(size int64) (int64, int64, error) {
		if offset > size || length > size-offset {
			return 0, 0, damaged("%s ends before byte %d", name, offset+length)
		}
		return offset, length, nil
	})
}

func (d *Dir) read(ctx context.Context, name string, span func(size int64) (offset, length int64, err error)) (b []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := d.fsys.OpenRead(d.path(name))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	offset, length, err := span(size)
	if err != nil {
		return nil, err
	}
	b = make([]byte, length)
	_, err = f.ReadAt(b, offset)
	return b, err
}

// List implements Place.
func (d *Dir) List(ctx context.Context, prefix string, fn func(Entry) error) error {
	dir, base := path.Split(prefix)
	return d.walk(ctx, strings.TrimSuffix(dir, "/"), base, fn)
}

// walk gives the files below a directory, those directly in it only where their
// names begin with base.
func (d *Dir) walk(ctx context.Context, dir, base string, fn func(Entry) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := d.fsys.ReadDir(d.path(dir))
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case !strings.HasPrefix(e.Name(), base):
			continue
		case e.IsDir():
			err = d.walk(ctx, name, "", fn)
		case strings.HasSuffix(name, vfs.TempSuffix): // of a process that was killed
			continue
		default:
			var info fs.FileInfo
			if info, err = e.Info(); err == nil {
				err = fn(Entry{Name: name, Size: info.Size(), Modified: info.ModTime()})
			}
		}
		if err != nil && !absent(err) {
			return err
		}
	}
	return nil
}

// Delete implements Keeper.
func (d *Dir) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	file := d.path(name)
	dir := filepath.Dir(file)
	if err := d.fsys.Remove(file); absent(err) {
		return nil
	} else if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if dir != filepath.Clean(d.root) && d.fsys.Remove(dir) == nil { // it was empty
		delete(d.made, dir)
		dir = filepath.Dir(dir)
	}
	return d.fsys.SyncDir(dir)
}
