package badgerdb

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"tdkvs/master/metadb"
)

// unfinished ends the name of the directory beside a store's place in which a
// restore makes it.
const unfinished = ".recovering"

// ErrNotEmpty refuses to restore over what may be a store. Test with errors.Is.
var ErrNotEmpty = errors.New("the metadata directory is not empty")

// Restore makes a store of commits that were kept elsewhere. All of it is made in a
// directory beside the store's place, with an ending to its name that nothing takes
// for a store, and gets its name in one step when it is whole and durable. What an
// attempt that was cut short has left is removed by the next. A Restore is used by
// one goroutine, and ends with Commit or Abandon.
type Restore struct {
	dir, tmp string
	lock     *os.File
	bdb      *badger.DB
	space    *space
	seq      uint64      // of the commit that is being made
	mark     []byte      // of the newest
	txn      *badger.Txn // what of it is not yet written; nil: nothing
	bytes    int         // of keys and values in it
	err      error       // the first; nothing more is taken
}

// NewRestore begins to make the store in dir. Where that holds anything but what a
// start leaves behind that has found no store, and what is named as of no account,
// it fails with ErrNotEmpty; while another restore of it is under way, with
// metadb.ErrLocked.
func NewRestore(dir string, o Options, disregard ...string) (_ *Restore, err error) {
	dir, err = placeOf(dir)
	if err != nil {
		return nil, err
	}
	old, err := remains(dir, disregard)
	if err != nil {
		return nil, err
	}
	r := &Restore{dir: dir, tmp: dir + unfinished}
	if err := os.MkdirAll(r.tmp, 0o700); err != nil {
		return nil, fmt.Errorf("the metadata is made anew beside %s, and the directory for it can not be made there: let this user write there, or put the metadata elsewhere: %w", dir, err)
	}
	if r.lock, err = lockDir(r.tmp); err != nil {
		return nil, err
	}
	if err := r.begin(old, o); err != nil {
		return nil, errors.Join(err, r.Abandon())
	}
	return r, nil
}

// begin makes room for the store, and an empty one at the side.
func (r *Restore) begin(old []string, o Options) error {
	for _, name := range old {
		if err := os.Remove(filepath.Join(r.dir, name)); err != nil {
			return err
		}
	}
	// It would stand in the way at the end; what can not be removed is a mount point.
	if err := os.Remove(r.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s can not be replaced, as a mount point can not: put the metadata into a directory of its own below it: %w", r.dir, err)
	}
	if err := r.clear(); err != nil {
		return fmt.Errorf("remove what an earlier attempt has left: %w", err)
	}
	if err := checkFormat(r.tmp); err != nil { // writes it
		return err
	}
	o = o.withDefaults()
	r.space = &space{dir: r.tmp, reserve: o.Reserve, measure: o.FreeSpace, now: time.Now}
	opt := badgerOptions(r.tmp, o)
	var err error
	r.bdb, err = badger.OpenManaged(opt)
	return err
}

// placeOf is where a directory really is, or will be.
func placeOf(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	resolved, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	return resolved, err
}

// remains lists what is in a directory that is as good as empty.
func remains(dir string, disregard []string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || name != lockName && name != formatName && !slices.Contains(disregard, name) {
			return nil, fmt.Errorf("%w: %s holds %s: if what is in it is of no use any more, rename it first, and keep it until the store is whole again", ErrNotEmpty, dir, name)
		}
		names = append(names, name)
	}
	return names, err
}

// At begins the commit of a number above those before: what is set and deleted from
// then on is part of it. The first may be a whole state; numbers may be left out.
func (r *Restore) At(seq uint64) error {
	if r.err == nil && seq <= r.seq {
		r.err = fmt.Errorf("commit %d comes behind %d", seq, r.seq)
	}
	if r.flush() == nil {
		r.seq = seq
		r.bdb.SetDiscardTs(seq - 1) // nobody reads what later commits replace
	}
	return r.err
}

// Mark has the store remember the mark of the newest commit, as metadb.Follower gave
// it. Without one the journal of the metadata begins anew.
func (r *Restore) Mark(mark []byte) { r.mark = bytes.Clone(mark) }

// Set has a key hold a value.
func (r *Restore) Set(key, value []byte) error {
	return r.put(len(key)+len(value), func(txn *badger.Txn) error { return txn.Set(prefixed(nil, key), bytes.Clone(value)) })
}

// Delete has a key hold nothing.
func (r *Restore) Delete(key []byte) error {
	return r.put(len(key), func(txn *badger.Txn) error { return txn.Delete(prefixed(nil, key)) })
}

// put makes a change, with others of its commit as far as they fit into memory.
func (r *Restore) put(size int, change func(*badger.Txn) error) error {
	if r.err == nil && r.seq == 0 {
		r.err = errors.New("a change is of no commit")
	}
	for r.err == nil {
		fresh := r.txn == nil
		if fresh {
			r.txn = r.bdb.NewTransactionAt(r.seq, true)
		}
		err := change(r.txn)
		if fresh || !errors.Is(err, badger.ErrTxnTooBig) {
			r.err, r.bytes = err, r.bytes+size
			break
		}
		_ = r.flush()
	}
	return r.err
}

// flush writes what was gathered.
func (r *Restore) flush() error {
	if r.err != nil || r.txn == nil {
		return r.err
	}
	if r.space.state() >= metadb.DiskFull {
		r.err = r.space.refusal()
		return r.err
	}
	r.err = r.txn.CommitAt(r.seq, nil)
	r.space.count(r.bytes)
	r.txn, r.bytes = nil, 0
	return r.err
}

// Commit makes all of it durable, verifies it, and gives it its name: from then on
// Open finds a store whose newest commit has the number that was begun last. After
// an error there is none.
func (r *Restore) Commit() error {
	if r.err == nil && r.seq == 0 {
		r.err = errors.New("nothing was restored")
	}
	// The number is kept although nothing may be left that this commit has set.
	_ = r.put(0, func(txn *badger.Txn) error { return txn.Set(seqKey(), seqValue(r.seq, r.mark)) })
	if r.flush() == nil {
		r.err = r.bdb.Close()
		r.bdb = nil
	}
	if r.err == nil {
		r.err = r.place()
	}
	if r.err != nil {
		return fmt.Errorf("restore metadata in %s: %w", r.dir, errors.Join(r.err, r.Abandon()))
	}
	return r.lock.Close()
}

// place syncs and verifies what was made, and renames it.
func (r *Restore) place() error {
	if err := syncFiles(r.tmp); err != nil {
		return err
	}
	if _, err := verify(r.tmp); err != nil {
		return err
	}
	if err := os.Rename(r.tmp, r.dir); err != nil { // fails where something is there by now
		return err
	}
	return syncDir(filepath.Dir(r.dir))
}

// Abandon ends a restore and removes what it has made.
func (r *Restore) Abandon() error {
	if r.txn != nil {
		r.txn.Discard()
		r.txn = nil
	}
	var err error
	if r.bdb != nil {
		err = r.bdb.Close()
		r.bdb = nil
	}
	// The lock goes last, and with it the directory.
	return errors.Join(err, r.clear(), os.RemoveAll(r.tmp), r.lock.Close())
}

// clear removes what was made, but for the lock.
func (r *Restore) clear() error {
	entries, err := os.ReadDir(r.tmp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		if e.Name() != lockName {
			errs = append(errs, os.RemoveAll(filepath.Join(r.tmp, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// syncFiles makes durable the files of a directory and their names.
func syncFiles(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := syncDir(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return syncDir(dir)
}
