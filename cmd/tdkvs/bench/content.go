package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// patternSize is the length of what all content is cut from: more than a cache
// holds of many objects, less than would cost memory.
const patternSize = 4 << 20

// content says what objects hold. Bytes follow from an object's number, so what
// is read can be checked without having been kept, also by the bare server.
type content struct{ pattern []byte }

// newContent makes the pattern: bytes that do not compress, the same in every
// process.
func newContent() content {
	c := content{make([]byte, patternSize)}
	_, _ = rand.NewChaCha8([32]byte{}).Read(c.pattern) // it never fails
	return c
}

// pieces appends length bytes of an object's content, from an offset on. They
// are parts of the pattern: nobody may write to them.
func (c content) pieces(dst [][]byte, number uint64, from, length int64) [][]byte {
	at := (int64(mix(number)%patternSize) + from) % patternSize
	for length > 0 {
		n := min(length, patternSize-at)
		dst = append(dst, c.pattern[at:at+n])
		at, length = 0, length-n
	}
	return dst
}

// mix spreads numbers over all 64 bits (the finisher of splitmix64, Steele,
// Lea and Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// checker compares what is read of an object with what it holds.
type checker struct {
	content
	number uint64
	at     int64
	scrap  [][]byte
}

func (c *checker) take(p []byte) error {
	c.scrap = c.pieces(c.scrap[:0], c.number, c.at, int64(len(p)))
	for _, want := range c.scrap {
		if !bytes.Equal(p[:len(want)], want) {
			return &failure{kind: wrongBytes, cause: fmt.Errorf("within %d bytes behind offset %d of object %d", len(want), c.at, c.number)}
		}
		c.at += int64(len(want))
		p = p[len(want):]
	}
	return nil
}
