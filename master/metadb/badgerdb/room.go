package badgerdb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// logRoom takes disk space for Badger's logs before Badger writes them. A log is
// a sparse file that is mapped into memory: a page of it that finds no block on a
// full disk ends the process by SIGBUS. So the log that is written to has all its
// blocks, and so has the next one, which lies ready under the name that Badger
// will open: a file of no length with blocks behind its end. Whatever else fills
// the disk, the commits that go into these two are safe.
//
// It belongs to the combiner, but for what is said.
type logRoom struct {
	dir     string
	memory  int    // bytes at which Badger turns to the next log
	logSize int64  // bytes that a log may come to hold
	active  string // the log being written to
	backed  bool   // it has its blocks
	used    int    // bytes written to it, at most
	ahead   string // the next one, ready; empty: there is none

	now    func() time.Time
	failed time.Time // when it was last tried in vain to take space
}

// roomAgain is the pause after it was tried in vain to take space.
const roomAgain = time.Second

// begin finds the log that Badger has made at its opening.
func (r *logRoom) begin() error {
	active, err := newest(logs(r.dir))
	if err != nil {
		return err
	}
	r.active, r.backed, r.used, r.ahead, r.failed = active, false, 0, "", time.Time{}
	return nil
}

// turning reports that the next commit may make Badger turn to the next log.
func (r *logRoom) turning() bool { return r.used >= r.memory }

// takes reports that the next commit has room, whatever becomes of the disk. more
// says whether Badger may write more than logs.
func (r *logRoom) takes(more bool) bool {
	return r.backed && (!r.turning() || r.ahead != "" && more)
}

// ensure takes the space that is missing, and says why that could not be done.
func (r *logRoom) ensure() error {
	if r.backed && r.ahead != "" || r.now().Sub(r.failed) < roomAgain {
		return nil
	}
	err := r.take()
	if err != nil {
		r.failed = r.now()
	}
	return err
}

// flushWait bounds the wait for tables that Badger is making.
const flushWait = 5 * time.Second

// awaitFlush waits, where there is little space, until Badger has made tables of the
// logs before the active one: it writes to those through mapped files, and to take space
// that there is not takes all that there is, for a moment, in which that would end the
// process by SIGBUS.
func (r *logRoom) awaitFlush() {
	for end := time.Now().Add(flushWait); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		room, err := statfs(r.dir)
		if err != nil || room.Free >= 4*uint64(r.logSize) {
			return
		}
		made, err := madeLogs(r.dir)
		if err != nil || len(made) == 0 || made[0] == r.active {
			return
		}
	}
}

func (r *logRoom) take() error {
	r.awaitFlush()
	if !r.backed {
		if err := allocate(filepath.Join(r.dir, r.active), r.logSize); err != nil {
			return err
		}
		r.backed = true
	}
	if r.ahead != "" {
		return nil
	}
	name, err := logAfter(r.active)
	if err != nil {
		return err
	}
	if err := makeAhead(filepath.Join(r.dir, name), r.logSize); err != nil {
		return err
	}
	r.ahead = name
	return nil
}

func makeAhead(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(allocateFile(f, unix.FALLOC_FL_KEEP_SIZE, size), f.Close())
	if err == nil {
		err = syncDir(filepath.Dir(name))
	}
	if err != nil {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// wrote counts what a commit has written, and notices that Badger has turned to
// the next log, which then has a length.
func (r *logRoom) wrote(n int) error {
	r.used += n
	if r.used-n < r.memory {
		return nil
	}
	active, err := r.written()
	if err == nil && active != r.active {
		r.active, r.backed, r.ahead, r.used = active, active == r.ahead, "", n
	}
	return err
}

// written is the log that Badger writes to. One that lies ready has no length until then.
func (r *logRoom) written() (string, error) {
	if r.ahead == "" {
		return newest(madeLogs(r.dir))
	}
	info, err := os.Stat(filepath.Join(r.dir, r.ahead))
	if err != nil || info.Size() == 0 {
		return r.active, err
	}
	return r.ahead, nil
}

// end removes the log that was made ready and not used.
func (r *logRoom) end() error {
	if r.ahead == "" {
		return nil
	}
	name := filepath.Join(r.dir, r.ahead)
	r.ahead = ""
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// allocate takes the blocks of a file up to size.
func allocate(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(allocateFile(f, 0, size), f.Close())
}

// allocateFile is allocate for an open file, without a change of its length where
// mode says so. A file system that can not do it is
// no error: there the reserves alone keep the disk from being full.
func allocateFile(f *os.File, mode uint32, size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), mode, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return nil
		case err != nil:
			return fmt.Errorf("take %d MiB of disk for %s: %w", size>>20, f.Name(), err)
		default:
			return nil
		}
	}
}

// spareName is a file that does nothing but hold disk space for the next start,
// which has to write what the logs hold to tables before it can serve, also where
// the disk has been filled up by others in the meantime. Further ones, with a number,
// hold nothing but themselves: there may be a lack of inodes.
const (
	spareName  = "startup.spare"
	spareFiles = 8 // a start makes a log of each kind and a table for each log
)

func spareNames(dir string) []string {
	names := []string{filepath.Join(dir, spareName)}
	for i := range spareFiles {
		names = append(names, filepath.Join(dir, fmt.Sprint(spareName, ".", i+1)))
	}
	return names
}

// keepSpare makes the files, the first of so many bytes.
func keepSpare(dir string, size int64) error {
	for i, name := range spareNames(dir) {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
		if err == nil && i == 0 {
			err = allocateFile(f, 0, size)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return errors.Join(err, giveSpare(dir))
		}
	}
	return syncDir(dir)
}

// giveSpare gives the space back.
func giveSpare(dir string) error {
	for _, name := range spareNames(dir) {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDir(dir)
}

// hasSpare reports whether the files are there.
func hasSpare(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, spareName))
	return err == nil
}
