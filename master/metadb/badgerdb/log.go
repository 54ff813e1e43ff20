package badgerdb

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// activeLog makes durable what was committed: the log that Badger writes to, and its
// name. It belongs to the committing goroutine. The zero value of all but dir is ready.
type activeLog struct {
	dir  string
	file *os.File // nil: yet to be found
	next string   // the log that comes after it
}

// sync makes the last commit durable, all before it being so. Badger turns to another
// log before it writes a commit, or not at all: the commit is in the newest one.
func (l *activeLog) sync() error {
	turned, err := l.turned()
	if err != nil {
		return err
	}
	if l.file == nil || turned {
		if err := l.find(); err != nil {
			return err
		}
	}
	for {
		if err := unix.Fdatasync(int(l.file.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// turned reports that Badger has turned to another log, which has a length then:
// without one it only lies ready (room.go).
func (l *activeLog) turned() (bool, error) {
	if l.file == nil {
		return false, nil
	}
	info, err := os.Stat(l.next)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Size() > 0, err
}

// find opens the log that Badger writes to, and makes its name durable.
func (l *activeLog) find() error {
	if err := l.forget(); err != nil {
		return err
	}
	name, err := newest(madeLogs(l.dir))
	if err != nil {
		return err
	}
	next, err := logAfter(name)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(l.dir, name), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := syncDir(l.dir); err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.next = file, filepath.Join(l.dir, next)
	return nil
}

// forget lets go of the log: Badger is closed, or will be opened again.
func (l *activeLog) forget() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
