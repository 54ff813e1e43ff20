package badgerdb

import (
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tdkvs/master/metadb"
)

// Room is what a file system has left.
type Room struct {
	Free   uint64 // bytes that may be written
	Total  uint64 // bytes in all
	Inodes uint64 // files that may be made; the greatest number where there is no limit
}

// statfs is what an unprivileged process may still write.
func statfs(dir string) (Room, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Room{}, fmt.Errorf("statfs %s: %w", dir, err)
	}
	r := Room{Free: st.Bavail * uint64(st.Bsize), Total: st.Blocks * uint64(st.Bsize), Inodes: st.Ffree}
	if st.Files == 0 { // the file system makes them as it needs them
		r.Inodes = ^uint64(0)
	}
	return r, nil
}

// blocksOf returns how many bytes of the disk a file takes.
func blocksOf(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}

// space guards the disk reserves. Badger writes through mapped files, where a
// full disk is a SIGBUS, so writes are refused while there is still room: all but
// upkeep at the reserve, and at half of it everything that Badger would need a
// new file for. The check is cheap: the answer holds for a second or for a few
// MiB written, whichever is less, so a full disk is noticed in time, and freed
// space soon.
type space struct {
	dir     string
	reserve uint64
	measure func(dir string) (Room, error)
	now     func() time.Time
	log     *slog.Logger
	logs    *logRoom    // of the combiner
	spare   atomic.Bool // room is kept for the next start

	mu      sync.Mutex // guards the fields below
	checked time.Time
	written int // bytes since checked
	room    Room
	known   bool // the last measurement has succeeded
}

const (
	spaceMaxAge     = time.Second
	spaceMaxWritten = 4 << 20
	// Files that are left to Badger for its tables and logs: as many for upkeep,
	// twice as many for everything.
	fewInodes = 64
)

// state measures anew where the last answer is too old.
func (s *space) state() metadb.DiskState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := s.now().Sub(s.checked); age < 0 || age >= spaceMaxAge || s.written >= spaceMaxWritten {
		s.look()
	}
	return s.judge()
}

// look measures. The caller holds s.mu.
func (s *space) look() {
	room, err := s.measure(s.dir)
	s.checked, s.written, s.known = s.now(), 0, err == nil
	if err == nil {
		s.room = room
	}
}

// judge compares the last measurement with the reserves. The caller holds s.mu.
func (s *space) judge() metadb.DiskState {
	switch {
	case !s.known:
		return metadb.DiskRoomy // unknown is not full: the writes themselves will tell
	case s.room.Free <= s.reserve/2 || s.room.Inodes <= fewInodes:
		return metadb.DiskStuffed
	case s.room.Free <= s.reserve || s.room.Inodes <= 2*fewInodes:
		return metadb.DiskFull
	case s.room.Free <= 2*s.reserve:
		return metadb.DiskLow
	}
	return metadb.DiskRoomy
}

// refusal is an error wrapping metadb.ErrNoSpace that says how much is left.
func (s *space) refusal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Errorf("%w: %s", metadb.ErrNoSpace, s.words())
}

// words say how much is left. The caller holds s.mu.
func (s *space) words() string {
	if s.room.Inodes <= 2*fewInodes {
		return fmt.Sprintf("%s has room for %d more files, reserve %d", s.dir, s.room.Inodes, 2*fewInodes)
	}
	return fmt.Sprintf("%s has %d MiB free, reserve %d MiB", s.dir, s.room.Free>>20, s.reserve>>20)
}

// prepare takes room for the commits to come. It is the combiner's.
func (s *space) prepare() {
	if err := s.logs.ensure(); err != nil {
		s.log.Warn("no disk space could be taken for the logs of the metadata", "dir", s.dir, "error", err)
	}
}

// admits reports whether something may be written, in that state of the disk. It
// is the combiner's.
func (s *space) admits(disk metadb.DiskState, upkeep bool) bool {
	switch {
	case disk >= metadb.DiskFull && !upkeep:
		return false
	case disk < metadb.DiskStuffed:
		return s.logs.takes(true)
	case !s.spare.Load() && s.logs.used > s.logs.memory/2:
		return false // a start could not write to a table what the log would hold
	}
	return s.logs.takes(false)
}

// transactionEnd is more than Badger adds to each transaction in its log.
const transactionEnd = 256

// count counts bytes written since the last look.
func (s *space) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written += n
}

// wrote counts bytes written, by a commit. It is the combiner's.
func (s *space) wrote(n int) error {
	s.count(n)
	return s.logs.wrote(n + transactionEnd)
}

// disk measures, and says what there is.
func (s *space) disk() metadb.Disk {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	d := metadb.Disk{Free: s.room.Free, Total: s.room.Total, Reserve: s.reserve, State: s.judge()}
	if d.State != metadb.DiskRoomy {
		d.Reason = s.words()
	}
	return d
}
