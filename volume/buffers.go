package volume

import "sync"

// Buffer sizes are 1.25 times a power of two, so that a payload of a round
// length fits together with its header, sums and descriptor.
const (
	minBufferShift = 10
	bufferClasses  = 14 // 1,280 bytes to 10 MiB
)

func bufferSize(class int) int { return 5 << (minBufferShift - 2 + class) }

// buffer is a pooled run of bytes, as long as its class says.
type buffer struct {
	b     []byte
	class int // -1: longer than any class, not pooled
}

// buffers is a pool of buffers by size class.
type buffers struct {
	pools [bufferClasses]sync.Pool
}

// get returns a buffer of at least n bytes with unspecified contents.
func (p *buffers) get(n int) *buffer {
	for class := range p.pools {
		if size := bufferSize(class); n <= size {
			if b, ok := p.pools[class].Get().(*buffer); ok {
				return b
			}
			return &buffer{b: make([]byte, size), class: class}
		}
	}
	return &buffer{b: make([]byte, n), class: -1}
}

// put gives a buffer back; nil is allowed.
func (p *buffers) put(b *buffer) {
	if b != nil && b.class >= 0 {
		p.pools[b.class].Put(b)
	}
}

// grow returns a buffer of at least n bytes that begins with the first used
// bytes of b, which is given back.
func (p *buffers) grow(b *buffer, used, n int) *buffer {
	if n <= len(b.b) {
		return b
	}
	larger := p.get(n)
	copy(larger.b, b.b[:used])
	p.put(b)
	return larger
}
