package backup

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"tdkvs/volume/vfs"
)

// ArchiveWriter is a file, or a stream, that one backup is written to: a tar
// archive.
type ArchiveWriter struct {
	name string
	mu   sync.Mutex
	tar  *tar.Writer
	file vfs.File // nil: a stream
	fsys vfs.FS
}

// NewStream returns the place that is written to a stream.
func NewStream(w io.Writer, name string) *ArchiveWriter {
	return &ArchiveWriter{name: name, tar: tar.NewWriter(w)}
}

// partial ends the name of a file that is not finished.
const partial = ".partial"

// NewFile returns the place in a new file. Until it is finished it has another
// name.
func NewFile(name string) (*ArchiveWriter, error) {
	fsys := vfs.OS()
	if _, err := fsys.Stat(name); err == nil {
		return nil, fmt.Errorf("%s: %w: name a new file", name, fs.ErrExist)
	} else if !absent(err) {
		return nil, err
	}
	f, err := fsys.Create(name + partial)
	if errors.Is(err, fs.ErrExist) { // of one that was killed
		if err := fsys.Remove(name + partial); err != nil {
			return nil, err
		}
		f, err = fsys.Create(name + partial)
	}
	if err != nil {
		return nil, err
	}
	return &ArchiveWriter{name: name, tar: tar.NewWriter(&appender{file: f}), file: f, fsys: fsys}, nil
}

// appender writes behind what it has written.
type appender struct {
	file vfs.File
	at   int64
}

func (a *appender) Write(p []byte) (int, error) {
	n, err := a.file.WriteAt(p, a.at)
	a.at += int64(n)
	return n, err
}

func (a *ArchiveWriter) String() string { return a.name }

// Put implements Place.
func (a *ArchiveWriter) Put(ctx context.Context, name string, content []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o600}); err != nil {
		return err
	}
	_, err := a.tar.Write(content)
	return err
}

func (a *ArchiveWriter) notThere(name string) error {
	return fmt.Errorf("%s: %s: %w", a.name, name, fs.ErrNotExist)
}

// Get implements Place: there is nothing to be read.
func (a *ArchiveWriter) Get(_ context.Context, name string, _ int64) ([]byte, error) {
	return nil, a.notThere(name)
}

// GetRange implements Place.
func (a *ArchiveWriter) GetRange(_ context.Context, name string, _, _ int64) ([]byte, error) {
	return nil, a.notThere(name)
}

// List implements Place.
func (a *ArchiveWriter) List(context.Context, string, func(Entry) error) error { return nil }

// Finish ends the archive, and gives a file its name; it is durable then.
func (a *ArchiveWriter) Finish() error {
	err := a.tar.Close()
	if a.file == nil {
		return err
	}
	if err == nil {
		err = a.file.Sync()
	}
	if closing := a.file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = a.fsys.Rename(a.name+partial, a.name)
	}
	if err == nil {
		err = a.fsys.SyncDir(filepath.Dir(a.name))
	}
	return err
}

// Abandon removes a file that was not finished.
func (a *ArchiveWriter) Abandon() error {
	if a.file == nil {
		return nil
	}
	return errors.Join(a.file.Close(), a.fsys.Remove(a.name+partial))
}

// Archive is a file with a backup that is read.
type Archive struct {
	name  string
	file  vfs.File
	files map[string]span
}

type span struct{ offset, size int64 }

// OpenArchive opens a file with a backup. Close must be called.
func OpenArchive(name string) (*Archive, error) {
	f, err := vfs.OS().OpenRead(name)
	if err != nil {
		return nil, err
	}
	a := &Archive{name: name, file: f, files: make(map[string]span)}
	if err := a.scan(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return a, nil
}

// scan finds the files in the archive, without reading them.
func (a *Archive) scan() error {
	size, err := a.file.Size()
	if err != nil {
		return err
	}
	in := io.NewSectionReader(a.file, 0, size)
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && len(a.files) == 0:
			return fmt.Errorf("%w: %s: %w", ErrNotBackup, a.name, err)
		case err != nil:
			return damaged("%s is cut short, or is not what it was: %v", a.name, err)
		}
		at, err := in.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if h.Size < 0 || h.Size > size-at {
			return damaged("%s is cut short: it ends in %s", a.name, h.Name)
		}
		a.files[h.Name] = span{at, h.Size}
	}
}

// Close closes the file.
func (a *Archive) Close() error { return a.file.Close() }

func (a *Archive) String() string { return a.name }

// Put implements Place: an archive does not change any more.
func (a *Archive) Put(context.Context, string, []byte) error {
	return fmt.Errorf("%s: %w", a.name, fs.ErrPermission)
}

// Get implements Place.
func (a *Archive) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	s, ok := a.files[name]
	if !ok {
		return nil, fmt.Errorf("%s: %s: %w", a.name, name, fs.ErrNotExist)
	}
	if s.size > limit {
		return nil, damaged("%s has %d bytes", name, s.size)
	}
	return a.GetRange(ctx, name, 0, s.size)
}

// GetRange implements Place.
func (a *Archive) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, ok := a.files[name]
	if !ok {
		return nil, fmt.Errorf("%s: %s: %w", a.name, name, fs.ErrNotExist)
	}
	if offset > s.size || length > s.size-offset {
		return nil, damaged("%s ends before byte %d", name, offset+length)
	}
	b := make([]byte, length)
	_, err := a.file.ReadAt(b, s.offset+offset)
	return b, err
}

// List implements Place.
func (a *Archive) List(_ context.Context, prefix string, fn func(Entry) error) error {
	for name, s := range a.files {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if err := fn(Entry{Name: name, Size: s.size}); err != nil {
			return err
		}
	}
	return nil
}
