package volumehttp

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"
)

// bufferPool keeps byte buffers of a few sizes. The zero value is empty.
type bufferPool struct {
	classes [len(bufferSizes)]sync.Pool // of *buffer
}

// bufferSizes fit the stream of a small payload, of one block, and of longer ones
// up to the longest that is buffered, each with its descriptor.
var bufferSizes = [...]int{8 << 10, blockBuffer, 160 << 10, 320 << 10, 640 << 10, maxBuffered + 128<<10}

const blockBuffer = 80 << 10

// buffer is bytes that the HTTP transport may still be reading when the call
// that made them has returned: it goes back to its pool with the last user.
type buffer struct {
	data []byte
	refs atomic.Int32
}

// bufferClass is the smallest size of buffers with room for n bytes, or the
// largest there is.
func bufferClass(n int) int {
	class := slices.IndexFunc(bufferSizes[:], func(size int) bool { return size >= n })
	if class < 0 {
		class = len(bufferSizes) - 1
	}
	return class
}

// get returns an empty buffer with room for n bytes, and one user.
func (p *bufferPool) get(n int) *buffer {
	class := bufferClass(n)
	b, ok := p.classes[class].Get().(*buffer)
	if !ok {
		b = &buffer{data: make([]byte, 0, bufferSizes[class])}
	}
	b.refs.Store(1)
	return b
}

// release takes one user away.
func (b *buffer) release(p *bufferPool) {
	if b.refs.Add(-1) > 0 {
		return
	}
	b.data = b.data[:0]
	for class := len(bufferSizes) - 1; class >= 0; class-- {
		if cap(b.data) >= bufferSizes[class] { // it may have grown
			p.classes[class].Put(b)
			return
		}
	}
}

// reader returns a request body over the buffer, a user of it until Close.
func (b *buffer) reader(p *bufferPool) io.ReadCloser {
	b.refs.Add(1)
	return &bufferBody{pool: p, buf: b, rest: b.data}
}

type bufferBody struct {
	pool *bufferPool

	mu   sync.Mutex // the transport may close while it reads
	buf  *buffer    // nil once closed
	rest []byte
}

func (b *bufferBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.buf == nil:
		return 0, errClosed
	case len(b.rest) == 0:
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *bufferBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf != nil {
		b.buf.release(b.pool)
		b.buf, b.rest = nil, nil
	}
	return nil
}
