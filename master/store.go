package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

// storing is a body to be stored as one extent.
type storing struct {
	layout *layout
	hash   uint64 // that places it
	keep   redundancy
	size   int64 // bytes; -1: not known
	// describe makes the descriptor of a blob, once the body has been read.
	describe func(shape) ([]byte, error)
}

// shape is what is known of a body once it has been read, and which blob of it is
// to be described.
type shape struct {
	size    int64
	digests meta.Digests
	read    time.Time // when its end was
	code    meta.Code // of a shard; zero: the blob is a whole copy
	shard   int
}

// stored is a body that is durable on its volumes and not yet part of anything.
type stored struct {
	extent    meta.Extent
	digests   meta.Digests
	unsettled bool // not all pieces are there, or not where they should be: to be queued for repair
}

// pieces are the blobs that it consists of.
func (s stored) pieces() []meta.Piece { return pieces([]meta.Extent{s.extent}) }

// store writes a body as one extent to the volumes that it belongs on, or to the
// next ones where they fail. What it has written and is not part of the extent is
// gone, or in the garbage queue, when it returns. It does not touch payload
// afterwards, even where a volume is still at work.
func (e *Engine) store(ctx context.Context, req storing, payload meta.Payload) (stored, error) {
	if req.size > meta.MaxPutSize {
		return stored{}, tooLarge()
	}
	if err := e.sealed(); err != nil {
		return stored{}, err // its commit could only fail, and leave the blobs
	}
	e.foreground.Add(1)
	defer e.foreground.Add(-1)
	share, err := e.writeShares.take(ctx, writeMemory(req.keep, req.size))
	if err != nil {
		return stored{}, err
	}
	defer e.writeShares.give(share)
	b := &body{payload: payload, size: req.size}
	if req.keep.code != (meta.Code{}) && req.size < 0 {
		c := e.writes.chunk()
		defer e.writes.give(c)
		if err := b.peek(c.data); err != nil {
			return stored{}, err
		}
		req.size = b.size
		if b.ended {
			req.keep.code = meta.Code{} // shorter than what it is worth the while for
		}
	}
	coded, err := e.coded(req)
	if err != nil {
		return stored{}, err
	}
	if coded {
		return e.storeShards(ctx, req, b)
	}
	t, err := e.targets(req, req.keep.copies)
	if err != nil {
		return stored{}, err
	}
	if req.keep.copies == 1 {
		return e.storeSingle(ctx, req, t, b)
	}
	if need := quorumOfCopies(req.keep.copies); len(t.home) < need {
		return stored{}, fmt.Errorf("%w: %d of %d copies must be durable, and %d volumes take data", volume.ErrUnavailable, need, req.keep.copies, len(t.home))
	}
	return e.storeCopies(ctx, req, t, b)
}

// coded reports whether a body is to be written as shards. Where a class has a
// code, and not enough volumes take data at the moment, it is kept as copies that
// survive as much: a write should not fail because a volume is down.
func (e *Engine) coded(req storing) (bool, error) {
	code := req.keep.code
	if code == (meta.Code{}) || req.size == 0 {
		return false, nil
	}
	volumes, _, err := req.layout.candidates(req.hash, code.Shards(), e.usable)
	if err != nil {
		return false, err
	}
	volumes = slices.DeleteFunc(volumes, func(v meta.VolumeID) bool { return !e.usable(v) })
	return len(volumes) >= quorumOfShards(code), nil
}

func tooLarge() error {
	return &meta.Error{Kind: meta.KindEntityTooLarge, Message: fmt.Sprintf("the limit is %d bytes", int64(meta.MaxPutSize))}
}

// body counts a payload, holds it to its length, and remembers its error.
type body struct {
	payload meta.Payload
	size    int64 // -1: not known
	read    atomic.Int64
	touched atomic.Bool // somebody has begun to read it
	failed  atomic.Pointer[payloadError]

	ahead []byte // read and not handed on yet
	ended bool   // there is nothing behind ahead
}

func (b *body) Read(p []byte) (int, error) {
	b.touched.Store(true)
	if len(b.ahead) > 0 {
		n := copy(p, b.ahead)
		b.ahead = b.ahead[n:]
		return n, nil
	}
	if b.ended {
		return 0, io.EOF
	}
	n, err := b.payload.Read(p)
	read := b.read.Add(int64(n))
	switch {
	case b.size < 0 && read > meta.MaxPutSize:
		err = tooLarge()
	case b.size >= 0 && read > b.size:
		err = fmt.Errorf("longer than the %d bytes announced", b.size)
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF) && (b.size < 0 || read == b.size):
		return n, io.EOF
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("%d of %d bytes: %w", read, b.size, io.ErrUnexpectedEOF)
	}
	failed := &payloadError{err}
	b.failed.Store(failed)
	return n, failed
}

// peek reads what fits into p ahead of all others, who read that first. Where the
// body has ended, its size is known.
func (b *body) peek(p []byte) error {
	n, ended, err := b.fill(p)
	b.ahead, b.ended = p[:n], ended
	if ended {
		b.size = int64(n)
	}
	return err
}

// fill reads into p until it is full or the body has ended, of which it tells.
// The end of an announced body is sought as soon as it is due.
func (b *body) fill(p []byte) (n int, ended bool, err error) {
	for empty := 0; ; {
		var one [1]byte
		into := p[n:]
		if len(into) == 0 {
			if b.size < 0 || b.read.Load() < b.size {
				return n, false, nil
			}
			into = one[:] // can only give the end, or an error
		}
		m, err := b.Read(into)
		switch n += m; {
		case errors.Is(err, io.EOF):
			return n, true, nil
		case err != nil:
			return n, false, err
		case m > 0:
			empty = 0
		default:
			if empty++; empty > maxEmptyReads {
				return n, false, &payloadError{io.ErrNoProgress}
			}
		}
	}
}

// maxEmptyReads is how often in a row a body may return nothing at all.
const maxEmptyReads = 100

// shape is that of a whole copy of the body, which has been read to its end.
func (b *body) shape(now time.Time) shape {
	return shape{size: b.read.Load(), digests: b.payload.Digests(), read: now}
}
