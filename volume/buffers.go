package volume

import "sync"

// Buffer sizes are 1.25 times a power of two, so that a payload of a round
// length fits together with its header, sums and descriptor.
const (
	minBufferShift = 10
	bufferClasses  = 14 // 1,280 bytes to 10 MiB
)

func bufferSize(class int) int { return 5 << (minBufferShift - 2 + class) }

// freeBuffer is the longest buffer that no budget is asked for, in bytes: it
// holds a block.
const freeBuffer = BlockSize + BlockSize/4

// buffer is a pooled run of bytes, as long as its class says.
type buffer struct {
	b     []byte
	class int     // -1: longer than any class, not pooled
	of    *Budget // that its length was taken from; nil: none
}

// buffers is a pool of buffers by size class.
type buffers struct {
	pools [bufferClasses]sync.Pool
}

// classOf returns the class of buffers of at least n bytes, and their length.
func classOf(n int) (class, size int) {
	for class := range bufferClasses {
		if size := bufferSize(class); n <= size {
			return class, size
		}
	}
	return -1, n
}

// get returns a buffer of at least n bytes with unspecified contents.
func (p *buffers) get(n int) *buffer {
	class, size := classOf(n)
	if class >= 0 {
		if b, ok := p.pools[class].Get().(*buffer); ok {
			return b
		}
	}
	return &buffer{b: make([]byte, size), class: class}
}

// offer is get for those who can do with less: it returns nil when n bytes are
// more than a block's and the budget has no room for them.
func (p *buffers) offer(n int, budget *Budget) *buffer {
	if n <= freeBuffer {
		return p.get(n)
	}
	if _, size := classOf(n); !budget.Take(int64(size)) {
		return nil
	}
	b := p.get(n)
	b.of = budget
	return b
}

// put gives a buffer back; nil is allowed.
func (p *buffers) put(b *buffer) {
	if b == nil {
		return
	}
	if b.of != nil {
		b.of.Give(int64(len(b.b)))
		b.of = nil
	}
	if b.class >= 0 {
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
	p.move(larger, b, used)
	return larger
}

// move copies the first used bytes of b, which is given back.
func (p *buffers) move(larger, b *buffer, used int) {
	copy(larger.b, b.b[:used])
	p.put(b)
}
