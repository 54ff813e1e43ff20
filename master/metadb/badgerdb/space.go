package badgerdb

import (
	"fmt"
	"time"

	"tdkvs/master/metadb"
)

// space guards the disk reserve. Badger writes through mapped files, where a
// full disk is a SIGBUS, so writes are refused while there is still room. The
// check is cheap: the answer holds for a second or for a few MiB written,
// whichever is less, so a full disk is noticed in time, and freed space soon.
// It belongs to the combiner.
type space struct {
	dir     string
	reserve uint64
	free    func(dir string) (uint64, error)
	now     func() time.Time

	checked time.Time
	written int // bytes since checked
	err     error
}

const (
	spaceMaxAge     = time.Second
	spaceMaxWritten = 4 << 20
)

// check returns an error wrapping metadb.ErrNoSpace when the reserve is reached.
func (s *space) check() error {
	if age := s.now().Sub(s.checked); age >= 0 && age < spaceMaxAge && s.written < spaceMaxWritten {
		return s.err
	}
	s.checked, s.written, s.err = s.now(), 0, nil
	free, err := s.free(s.dir)
	switch {
	case err != nil:
		// Unknown is not full: the writes themselves will tell.
	case free <= s.reserve:
		s.err = fmt.Errorf("%w: %s has %d MiB free, reserve %d MiB", metadb.ErrNoSpace, s.dir, free>>20, s.reserve>>20)
	}
	return s.err
}

// wrote counts bytes written since the last check.
func (s *space) wrote(n int) { s.written += n }
