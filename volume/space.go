package volume

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tdkvs/volume/vfs"
)

const (
	spaceMaxAge     = time.Second // how long a measurement of the disk holds
	spaceMaxWritten = 64 << 20    // bytes written after which it is taken again
	minReserve      = 256 << 20
)

// gauge keeps the last measurement of the disk, so that a write costs no system
// call, what was written since, and what was promised to the Puts under way:
// many that begin together must not get into the reserve together.
type gauge struct {
	written  atomic.Int64
	promised atomic.Int64

	mu      sync.Mutex // guards the fields below
	last    vfs.Space
	checked time.Time
}

// measure asks the file system. The caller holds gauge.mu.
func (s *Store) measure(now time.Time) error {
	space, err := s.fs.Space(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("%w: measure disk space: %w", ErrUnavailable, err)
	}
	s.gauge.last, s.gauge.checked = space, now
	s.gauge.written.Store(0)
	return nil
}

// space returns the present capacity.
func (s *Store) space() (vfs.Space, error) {
	s.gauge.mu.Lock()
	defer s.gauge.mu.Unlock()
	err := s.measure(s.cfg.Clock())
	return s.gauge.last, err
}

// promise is disk space that a Put was admitted for and has not taken yet.
type promise struct {
	gauge *gauge
	n     int64
}

// settle ends the promise: the space is taken, or will not be. Settling again
// does nothing.
func (p *promise) settle() {
	if p.n != 0 {
		p.gauge.promised.Add(-p.n)
		p.n = 0
	}
}

// admit promises n more bytes for a blob, or fails with ErrNoSpace when they would
// eat into the reserve, or into half of it where the blob is of a snapshot of the
// metadata. A commit of the metadata may take all of it, as a tombstone may: without it
// no deletion can be recorded, and no space won back. A refusal always rests on a fresh
// measurement, so it ends when the cause does.
func (s *Store) admit(id BlobID, n int64) (promise, error) {
	if kind, _, _, _ := ParseMetadataID(id); s.cfg.Reserve < 0 || kind == MetadataEntry && n <= s.cfg.SmallLimit {
		return promise{}, nil
	}
	now := s.cfg.Clock()
	s.gauge.mu.Lock()
	defer s.gauge.mu.Unlock()
	age := now.Sub(s.gauge.checked)
	if age >= spaceMaxAge || age < 0 || s.gauge.written.Load() >= spaceMaxWritten || !s.fits(id, n) {
		if err := s.measure(now); err != nil {
			return promise{}, err
		}
		if !s.fits(id, n) {
			return promise{}, fmt.Errorf("%w: %d bytes are free, %d are kept", ErrNoSpace, s.gauge.last.Free, s.reserve(s.gauge.last))
		}
	}
	s.gauge.promised.Add(n)
	return promise{&s.gauge, n}, nil
}

// fits reports whether n bytes can be written for a blob without reaching its reserve.
func (s *Store) fits(id BlobID, n int64) bool {
	need := s.reserve(s.gauge.last)
	if id.Metadata() {
		need /= 2
	}
	need += uint64(n) + uint64(s.gauge.written.Load()) + uint64(s.gauge.promised.Load())
	return s.gauge.last.Free > need
}

// reserve returns the bytes to keep free.
func (s *Store) reserve(space vfs.Space) uint64 {
	switch {
	case s.cfg.Reserve > 0:
		return uint64(s.cfg.Reserve)
	case s.cfg.Reserve < 0:
		return 0
	}
	return min(max(space.Total/100, minReserve), space.Total/10)
}
