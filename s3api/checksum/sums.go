package checksum

import (
	"crypto/md5"
	"hash"
	"runtime"
	"sync"
)

// sums computes the digests of one body side by side. MD5, which is by far the
// slowest, runs in a goroutine of its own for large bodies, so that it overlaps
// with the network and the disk.
type sums struct {
	hashes [algorithmCount]hash.Hash // nil where not wanted
	direct hash.Hash                 // MD5 of a small body, else nil
	pipe   *md5Pipe                  // MD5 of a large body, else nil
	md5sum []byte                    // the MD5, once it was asked for
}

// pipeThreshold is the size in bytes from which the goroutine pays for itself.
const pipeThreshold = 1 << 20

// Idle hashers, by algorithm; md5s apart.
var (
	hashers [algorithmCount]sync.Pool
	md5s    = sync.Pool{New: func() any { return md5.New() }}
)

func newSums(size int64) *sums {
	s := &sums{}
	if (size < 0 || size >= pipeThreshold) && runtime.GOMAXPROCS(0) > 1 {
		s.pipe = newMD5Pipe()
	} else {
		s.direct = md5s.Get().(hash.Hash)
		s.direct.Reset()
	}
	return s
}

// want adds an algorithm; None, repetitions and MD5, which is computed in any
// case, are nothing.
func (s *sums) want(a Algorithm) {
	if a == None || a == MD5 || s.hashes[a] != nil {
		return
	}
	h, ok := hashers[a].Get().(hash.Hash)
	if !ok {
		h = a.New()
	}
	h.Reset()
	s.hashes[a] = h
}

func (s *sums) write(b []byte) {
	if s.pipe != nil {
		s.pipe.write(b)
	} else {
		s.direct.Write(b)
	}
	for _, h := range s.hashes {
		if h != nil {
			h.Write(b)
		}
	}
}

// sum returns the digest of a wanted algorithm or MD5, after the last write.
func (s *sums) sum(a Algorithm) []byte {
	switch {
	case a != MD5:
		return s.hashes[a].Sum(nil)
	case s.md5sum != nil:
	case s.pipe != nil:
		s.md5sum = s.pipe.sum()
	default:
		s.md5sum = s.direct.Sum(nil)
	}
	return s.md5sum
}

func (s *sums) release() {
	for a, h := range s.hashes {
		if h != nil {
			hashers[a].Put(h)
		}
	}
	if s.direct != nil {
		md5s.Put(s.direct)
	}
	if s.pipe != nil {
		s.pipe.stop()
	}
}
