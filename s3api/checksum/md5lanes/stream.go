package md5lanes

import (
	"crypto/md5"
	"sync"
)

// What a stream gathers: depth blocks that wait to be hashed and one that is being
// filled, 256 KiB in all.
const (
	blockSize = 64 << 10
	depth     = 3
)

// block is a run of a stream's bytes.
type block struct {
	data [blockSize]byte
	n    int
}

// Stream is an MD5 that is computed. It is used by one goroutine, and is done with
// after Close.
type Stream struct {
	g    *Group
	hash digest // of the round that the stream is in; else its owner's
	fill *block // nil: there is none

	// Group.mu owns what follows.
	queue   [depth]*block // that wait, without gaps
	pending int           // blocks that wait or are in a round
	busy    bool          // in a round
	waiting bool          // the owner waits for wake
	wake    sync.Cond
	err     error // what went wrong in a round
}

// Write hashes p in due time; it keeps a copy.
func (s *Stream) Write(p []byte) {
	for len(p) > 0 {
		if s.fill == nil {
			s.fill = s.g.block()
		}
		n := copy(s.fill.data[s.fill.n:], p)
		s.fill.n += n
		if p = p[n:]; s.fill.n == blockSize {
			s.push()
		}
	}
}

// push gives the block on to be hashed, and returns when there is room for another.
func (s *Stream) push() {
	b := s.fill
	s.fill = nil
	g := s.g
	g.mu.Lock()
	defer g.mu.Unlock()
	g.add(s, b)
	g.wait(s, depth-1)
}

// Sum returns the MD5 of all that was written. Nothing may be written afterwards. An
// error means that crypto/md5 is not the one that this package was made for.
func (s *Stream) Sum() ([md5.Size]byte, error) {
	g := s.g
	g.mu.Lock()
	if s.fill != nil {
		g.add(s, s.fill)
		s.fill = nil
	}
	g.wait(s, 0)
	err := s.err
	g.mu.Unlock()
	var sum [md5.Size]byte
	s.hash.Sum(sum[:0])
	return sum, err
}

// Close gives back what the stream holds. It may be called at any time, once.
func (s *Stream) Close() {
	g := s.g
	g.mu.Lock()
	g.leave(s)
	g.mu.Unlock()
	if s.fill != nil {
		g.release(s.fill)
		s.fill = nil
	}
	g.streams.Put(s)
}
