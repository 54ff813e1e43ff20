package badgerdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"tdkvs/master/metadb"
)

// ReadOnly shows what a directory holds, as the next start would find it, and
// changes nothing in it. Badger has to cut the logs that a crash leaves; it gets
// copies of them, cut already, in a directory of their own, with links to the
// tables, which it opens for reading only.
type ReadOnly struct {
	shadow string
	lock   *os.File // nil: nobody ever had it open
	store  *store
}

var _ metadb.DB = (*ReadOnly)(nil)

// OpenReadOnly verifies the store in dir, as Open does, and opens it for reading. It
// fails with metadb.ErrLocked when another process has it open, with
// metadb.ErrCorrupt when what it holds does not verify, and with fs.ErrNotExist where
// there is no store.
func OpenReadOnly(dir string, o Options) (_ *ReadOnly, err error) {
	o = o.withDefaults()
	if _, err := os.Stat(filepath.Join(dir, formatName)); err != nil {
		return nil, fmt.Errorf("%s holds no metadata: %w", dir, err)
	}
	db := new(ReadOnly)
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	if db.lock, err = lockExisting(dir); err != nil {
		return nil, err
	}
	if err := checkFormat(dir); err != nil {
		return nil, err
	}
	if _, err := verify(dir); err != nil {
		return nil, fmt.Errorf("metadata in %s: %w", dir, err)
	}
	if err := db.makeShadow(dir); err != nil {
		return nil, fmt.Errorf("metadata in %s: %w", dir, err)
	}
	opt := badgerOptions(db.shadow, o)
	opt.ReadOnly = true
	bdb, err := badger.OpenManaged(opt)
	if err != nil {
		return nil, fmt.Errorf("open metadata in %s: %w", dir, err)
	}
	if db.store, err = newStore(db.shadow, bdb); err != nil {
		return nil, errors.Join(fmt.Errorf("metadata in %s: %w", dir, err), bdb.Close())
	}
	return db, nil
}

// lockExisting is lockDir that makes no file.
func lockExisting(dir string) (*os.File, error) {
	f, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return flock(f, dir)
}

// makeShadow makes the directory that Badger opens.
func (db *ReadOnly) makeShadow(dir string) error {
	full, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if db.shadow, err = os.MkdirTemp("", "tdkvs-metadata-"); err != nil {
		return err
	}
	entries, err := os.ReadDir(full)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := shadow(filepath.Join(full, e.Name()), filepath.Join(db.shadow, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// shadow makes what stands for a file.
func shadow(from, to string) error {
	switch name := filepath.Base(from); filepath.Ext(name) {
	case ".sst":
		return os.Symlink(from, to)
	case logSuffix:
		return copyLog(from, to)
	case valueLogSuffix:
		if info, err := os.Stat(from); err != nil || info.Size() == 0 {
			return err
		}
		return copyFile(from, to)
	default:
		if name == badger.ManifestFilename || name == badger.KeyRegistryFileName {
			return copyFile(from, to)
		}
		return nil
	}
}

// copyLog copies the transactions of a log that are whole.
func copyLog(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil || len(data) < logHeader {
		return err
	}
	end, _ := validLog(data)
	if end <= logHeader {
		return nil
	}
	return os.WriteFile(to, data[:end], 0o600)
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// View implements metadb.DB.
func (db *ReadOnly) View(ctx context.Context, fn func(metadb.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	snap := db.store.snapshot()
	defer snap.close()
	t := &tx{ctx: ctx, snap: snap}
	defer t.end()
	return fn(t)
}

// Update implements metadb.DB: it fails with metadb.ErrFailed.
func (db *ReadOnly) Update(context.Context, func(metadb.Tx) error) error {
	return fmt.Errorf("%w: it was opened for reading only", metadb.ErrFailed)
}

// Stats implements metadb.DB.
func (db *ReadOnly) Stats() metadb.Stats { return metadb.Stats{} }

// Close implements metadb.DB. No View may be under way.
func (db *ReadOnly) Close() error {
	var errs []error
	if db.store != nil {
		errs = append(errs, db.store.close())
		db.store = nil
	}
	if db.shadow != "" {
		errs = append(errs, os.RemoveAll(db.shadow))
		db.shadow = ""
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
		db.lock = nil
	}
	return errors.Join(errs...)
}

// flock takes the lock of an open file for this process, or closes it.
func flock(f *os.File, dir string) (*os.File, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	closeErr := f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w: %s: stop the process that has it open, or give this one another directory", metadb.ErrLocked, dir)
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), closeErr)
}
