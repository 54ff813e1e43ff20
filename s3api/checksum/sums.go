package checksum

import (
	"crypto/md5"
	"hash"
	"sync"

	"tdkvs/s3api/checksum/md5lanes"
)

// sums computes the digests of one body side by side. MD5, which is by far the
// slowest, is computed for several large bodies together.
type sums struct {
	hashes [algorithmCount]hash.Hash // nil where not wanted
	alone  hash.Hash                 // MD5 of a small body, else nil
	stream *md5lanes.Stream          // MD5 of a large body, else nil
}

// togetherFrom is the size in bytes from which bodies are gathered to be hashed
// together: above it the engine counts on memory for that.
const togetherFrom = 64<<10 + 1

// together are the large bodies of the process.
var together = md5lanes.NewGroup()

// Idle hashers, by algorithm; md5s apart.
var (
	hashers [algorithmCount]sync.Pool
	md5s    = sync.Pool{New: func() any { return md5.New() }}
)

func newSums(size int64) *sums {
	s := &sums{}
	if size < 0 || size >= togetherFrom {
		s.stream = together.Stream()
	} else {
		s.alone = md5s.Get().(hash.Hash)
		s.alone.Reset()
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
	if s.stream != nil {
		s.stream.Write(b)
	} else {
		s.alone.Write(b)
	}
	for _, h := range s.hashes {
		if h != nil {
			h.Write(b)
		}
	}
}

// md5 returns the MD5, after the last write. It may be called once.
func (s *sums) md5() ([]byte, error) {
	if s.stream == nil {
		return s.alone.Sum(nil), nil
	}
	sum, err := s.stream.Sum()
	return sum[:], err
}

// sum returns the digest of a wanted algorithm, after the last write, where md5sum is
// that of the body.
func (s *sums) sum(a Algorithm, md5sum []byte) []byte {
	if a == MD5 {
		return md5sum
	}
	return s.hashes[a].Sum(nil)
}

func (s *sums) release() {
	for a, h := range s.hashes {
		if h != nil {
			hashers[a].Put(h)
		}
	}
	if s.alone != nil {
		md5s.Put(s.alone)
	}
	if s.stream != nil {
		s.stream.Close()
	}
}
