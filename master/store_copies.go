package master

import (
	"context"
	"slices"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
)

// quorumOfCopies is how many copies must be durable before a write is
// acknowledged: a majority.
func quorumOfCopies(copies int) int { return copies/2 + 1 }

// storeCopies writes a body as copies on several volumes. It is read once, in
// chunks that the copies share, and is acknowledged when a majority is durable.
func (e *Engine) storeCopies(ctx context.Context, req storing, t *targets, b *body) (stored, error) {
	s := e.spread(ctx, t, req.size, quorumOfCopies(req.keep.copies), true)
	err := s.broadcast(ctx, b)
	var of shape
	var descriptor []byte
	if err == nil {
		of = b.shape(e.now())
		descriptor, err = req.describe(of)
	}
	if err == nil {
		err = s.finish(ctx, slices.Repeat([][]byte{descriptor}, len(t.home)))
	}
	if err != nil {
		s.fail(ctx, err)
		return stored{}, err
	}
	failpoint.At("put/copies")
	s.settle(ctx)
	x := meta.Extent{Size: of.size, Pieces: s.pieces()}
	return stored{extent: x, digests: of.digests, unsettled: !t.settled(x.Pieces)}, nil
}

// broadcast reads a body to its end and hands it to all writers.
func (s *spread) broadcast(ctx context.Context, b *body) error {
	for {
		c, err := s.chunk(ctx)
		if err != nil {
			return err
		}
		c.held.Store(1)
		n, ended, err := b.fill(c.data)
		if err != nil || n == 0 {
			c.release()
		} else {
			s.push(c, func(int) []byte { return c.data[:n] })
		}
		if err != nil || ended {
			return err
		}
	}
}

// chunk returns a chunk to read into: one that is free, another where there is
// memory, or the next that becomes free.
func (s *spread) chunk(ctx context.Context) (*chunk, error) {
	if err := s.possible(); err != nil {
		return nil, err
	}
	select {
	case c := <-s.free:
		return c, nil
	default:
	}
	if s.chunks >= minChunks && (s.chunks == maxChunks || !s.e.writes.budget.Take(chunkSize)) {
		return s.await(ctx)
	}
	s.chunks++
	c := s.e.writes.chunk()
	c.free = s.free
	return c, nil
}
