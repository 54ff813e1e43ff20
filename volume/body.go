package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// body reads the payload of a Put in blocks.
type body struct {
	ctx  context.Context
	r    io.Reader
	id   BlobID
	size int64 // announced bytes; -1: unknown
	room promise
	n    int64 // bytes read
	done bool
	one  [1]byte
}

// next reads one block and puts its sum behind it. It returns the bytes of
// both, 0 at the end of the body. dst has room for a whole block, or for what is
// left of an announced size, and the sum. The body is known to have ended as soon as
// done is set.
func (b *body) next(dst []byte) (int, error) {
	if b.done {
		return 0, nil
	}
	want := int64(BlockSize)
	if b.size >= 0 {
		want = min(want, b.size-b.n)
	}
	n, err := b.fill(dst[:want])
	index := uint32(b.n / BlockSize)
	b.n += int64(n)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return 0, fmt.Errorf("read body after %d bytes: %w", b.n, err)
	case err != nil && b.n < b.size:
		return 0, fmt.Errorf("body ended after %d of %d bytes: %w", b.n, b.size, io.ErrUnexpectedEOF)
	case err != nil:
		b.done = true
	case b.n == b.size:
		if err := b.expectEnd(); err != nil {
			return 0, err
		}
	}
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, nil
	}
	putSum(dst, n, b.id, index, dst[:n])
	return n + sumLen, nil
}

// expectEnd reads on behind the announced size.
func (b *body) expectEnd() error {
	n, err := b.fill(b.one[:])
	switch {
	case n > 0:
		return fmt.Errorf("%w: body is longer than the announced %d bytes", ErrInvalid, b.size)
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("read body after %d bytes: %w", b.n, err)
	}
	b.done = true
	return nil
}

// maxEmptyReads is how often in a row a body may return nothing at all.
const maxEmptyReads = 100

// fill reads until p is full or the body ends. Unlike io.ReadFull it tells a
// body that ended, which is io.EOF, from one that failed with any other error,
// io.ErrUnexpectedEOF included: that is what a broken HTTP connection returns.
func (b *body) fill(p []byte) (n int, err error) {
	for empty := 0; n < len(p); {
		m, err := b.r.Read(p[n:])
		if m < 0 || m > len(p)-n {
			return n, fmt.Errorf("%w: body returned %d of %d bytes", ErrInvalid, m, len(p)-n)
		}
		n += m
		if err != nil {
			if n == len(p) && errors.Is(err, io.EOF) {
				return n, nil // it says so again
			}
			return n, err
		}
		if m > 0 {
			empty = 0
		} else if empty++; empty > maxEmptyReads {
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}

// describe asks for the descriptor and checks it.
func (b *body) describe(desc Descriptor) ([]byte, error) {
	if desc == nil {
		return nil, nil
	}
	d, err := desc()
	if err != nil {
		return nil, fmt.Errorf("descriptor: %w", err)
	}
	if len(d) > MaxDescriptor {
		return nil, fmt.Errorf("%w: descriptor of %d bytes, at most %d are allowed", ErrInvalid, len(d), MaxDescriptor)
	}
	return d, b.ctx.Err()
}
