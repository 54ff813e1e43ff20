package volumehttp

import (
	"slices"
	"sync"
)

// bufferPool keeps byte buffers of a few sizes. The zero value is empty.
type bufferPool struct {
	classes [len(bufferSizes)]sync.Pool // of *buffer
}

// bufferSizes fit the stream of a small payload, of one block, and of longer ones
// up to the longest that is buffered, each with its descriptor.
var bufferSizes = [...]int{8 << 10, blockBuffer, 160 << 10, 320 << 10, 640 << 10, maxBuffered + 128<<10}

const blockBuffer = 80 << 10

// buffer is bytes of one owner, who gives it back.
type buffer struct{ data []byte }

// bufferClass is the smallest size of buffers with room for n bytes, or the
// largest there is.
func bufferClass(n int) int {
	class := slices.IndexFunc(bufferSizes[:], func(size int) bool { return size >= n })
	if class < 0 {
		class = len(bufferSizes) - 1
	}
	return class
}

// get returns an empty buffer with room for n bytes.
func (p *bufferPool) get(n int) *buffer {
	class := bufferClass(n)
	b, ok := p.classes[class].Get().(*buffer)
	if !ok {
		b = &buffer{data: make([]byte, 0, bufferSizes[class])}
	}
	return b
}

// put takes a buffer back.
func (p *bufferPool) put(b *buffer) {
	b.data = b.data[:0]
	for class := len(bufferSizes) - 1; class >= 0; class-- {
		if cap(b.data) >= bufferSizes[class] { // it may have grown
			p.classes[class].Put(b)
			return
		}
	}
}
