package volumehttp

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// errSentInPart is never the first error of a request.
var errSentInPart = errors.New("the body was sent in part and can not be sent again")

// putStream is the body of a streamed put. The transport reads it in goroutines
// of its own, which may go on after the response came; stop ends that. When the
// caller's body breaks, the stream ends with an error frame instead of its end:
// so the server's answer tells that it has let go of the blob's id.
type putStream struct {
	idle   time.Duration // that the server may take for what it was given
	answer time.Duration // that it may take after the end

	mu      sync.Mutex // held while the caller's body is read; owns what follows
	watch   *watch
	current *streamBody // the one that may read
	framer  *framer
	buf     *buffer
	pending []byte // frames to send next
	started bool   // some were sent: there is no way back
	stopped bool
	err     error // of the framer, but not io.EOF
}

func (s *putStream) attach(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = w
}

// open returns the body. It can do so again, for a repeated request, until the
// first byte was read.
func (s *putStream) open() (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return nil, errSentInPart
	}
	s.current = &streamBody{stream: s} // an abandoned attempt reads no more
	return s.current, nil
}

// stop waits for a Read under way and lets none follow. It returns why the
// stream broke, if it did.
func (s *putStream) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	return s.err
}

func (s *putStream) read(body *streamBody, p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped, s.current != body:
		return 0, errClosed
	case s.err != nil && len(s.pending) == 0: // the server was told
		s.watch.arm(s.answer)
		return 0, io.EOF
	}
	s.started = true
	s.watch.disarm() // it is the caller's body that is waited for now
	if len(s.pending) == 0 {
		var err error
		s.buf.data, err = s.framer.next(s.buf.data[:0])
		if errors.Is(err, io.EOF) {
			s.watch.arm(s.answer)
			return 0, io.EOF
		}
		if err != nil {
			s.err = err
			if s.framer.ctx.Err() != nil {
				return 0, err // cuts the connection
			}
			s.buf.data = appendFrame(s.buf.data[:0], s.framer.id, kindError, nil)
		}
		s.pending = s.buf.data
	}
	n := copy(p, s.pending)
	s.pending = s.pending[n:]
	s.watch.arm(s.idle)
	return n, nil
}

// streamBody is one use of a putStream as a request body.
type streamBody struct {
	stream *putStream
	closed atomic.Bool
}

func (b *streamBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, errClosed
	}
	return b.stream.read(b, p)
}

// Close does not wait for a Read under way: the caller's body may be slow.
func (b *streamBody) Close() error {
	b.closed.Store(true)
	return nil
}
