package volumehttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"tdkvs/volume"
)

// framer makes the stream of a put from the payload and its descriptor.
type framer struct {
	ctx        context.Context
	id         volume.BlobID
	size       int64 // announced; -1: unknown
	body       io.Reader
	desc       volume.Descriptor
	sent       int64 // payload bytes in frames so far
	drained    bool  // body has ended
	descriptor []byte
	ended      bool // the end frame was made
}

// next appends the next frame, or the last two, to dst. After those it returns
// io.EOF. Any other error is final, too.
func (f *framer) next(dst []byte) ([]byte, error) {
	if f.ended {
		return dst, io.EOF
	}
	if err := f.ctx.Err(); err != nil {
		return dst, err
	}
	if !f.drained {
		start := len(dst)
		var err error
		if dst, err = f.data(dst); err != nil || len(dst) > start {
			return dst, err
		}
	}
	return f.finish(dst)
}

// data appends a data frame, or nothing when the body has ended.
func (f *framer) data(dst []byte) ([]byte, error) {
	start, want := len(dst), int64(volume.BlockSize)
	if f.size >= 0 {
		want = min(want, f.size-f.sent+1) // one more, to see that there is no more
	}
	dst = slices.Grow(dst, frameHeader+int(want))
	header, block := dst[start:start+frameHeader], dst[start+frameHeader:start+frameHeader+int(want)]
	n, err := readBlock(f.body, block)
	switch {
	case errors.Is(err, io.EOF):
		f.drained = true
	case err != nil:
		return dst[:start], fmt.Errorf("put %s: body: %w", f.id, err)
	}
	if f.size >= 0 && f.sent+int64(n) > f.size {
		return dst[:start], fmt.Errorf("put %s: body longer than %d bytes: %w", f.id, f.size, volume.ErrInvalid)
	}
	if n == 0 {
		return dst[:start], nil
	}
	putHeader(header, f.id, kindData, f.sent, block[:n])
	f.sent += int64(n)
	return dst[:start+frameHeader+n], nil
}

// finish appends the descriptor and the end.
func (f *framer) finish(dst []byte) ([]byte, error) {
	if f.size >= 0 && f.sent < f.size {
		return dst, fmt.Errorf("put %s: body of %d bytes, want %d: %w", f.id, f.sent, f.size, io.ErrUnexpectedEOF)
	}
	descriptor, err := f.desc()
	if err != nil {
		return dst, fmt.Errorf("put %s: descriptor: %w", f.id, err)
	}
	if len(descriptor) > volume.MaxDescriptor {
		return dst, fmt.Errorf("put %s: descriptor of %d bytes: %w", f.id, len(descriptor), volume.ErrInvalid)
	}
	f.descriptor, f.ended = descriptor, true
	dst = appendFrame(dst, f.id, kindDescriptor, descriptor)
	return appendEnd(dst, f.id, f.sent), nil
}

// framedLength is about how long the stream of a payload of size bytes is; -1
// is unknown.
func framedLength(size int64) int {
	const descriptor = 2 << 10 // most are shorter
	if size < 0 {
		size = volume.BlockSize
	}
	blocks := (size + volume.BlockSize - 1) / volume.BlockSize
	return int(size + (blocks+2)*frameHeader + endPayload + descriptor)
}

// readBlock fills p. It returns io.EOF, with the last bytes or after them, only
// for the end of r.
func readBlock(r io.Reader, p []byte) (n int, err error) {
	for idle := 0; n < len(p) && err == nil; {
		var m int
		m, err = r.Read(p[n:])
		n += m
		if idle++; m > 0 {
			idle = 0
		} else if idle == 100 && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}
