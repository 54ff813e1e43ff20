package master

import (
	"context"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
)

// quorumOfShards is how many shards of a code must be durable before a write is
// acknowledged: those that the body can be read from, and half of the others.
func quorumOfShards(c meta.Code) int { return c.Data + (c.Parity+1)/2 }

// storeShards writes a body as the shards of a code, each on a volume of its own.
// It is read and encoded stripe by stripe; a stripe is in memory at a time.
func (e *Engine) storeShards(ctx context.Context, req storing, b *body) (stored, error) {
	code := req.keep.code
	coder, err := e.coder(code)
	if err != nil {
		return stored{}, err
	}
	t, err := e.targets(req, code.Shards())
	if err != nil {
		return stored{}, err
	}
	size := int64(-1)
	if req.size >= 0 {
		size = coder.ShardSize(req.size)
	}
	s := e.spread(ctx, t, size, quorumOfShards(code), false)
	stripe := &chunk{free: s.free}
	_, err = coder.Encode(b, func(units [][]byte) error {
		stripe.held.Store(1)
		s.push(stripe, func(index int) []byte { return units[index] })
		_, err := s.await(ctx)
		return err
	})
	if failed := b.failed.Load(); failed != nil {
		err = failed // also one that looks like the end
	}
	var of shape
	var descriptors [][]byte
	if err == nil {
		of = b.shape(e.now())
		descriptors, err = describeShards(req, of)
	}
	if err == nil {
		err = s.finish(ctx, descriptors)
	}
	if err != nil {
		s.fail(ctx, err)
		return stored{}, err
	}
	failpoint.At("put/shards")
	s.settle(ctx)
	x := meta.Extent{Size: of.size, Code: code, Pieces: make([]meta.Piece, code.Shards())}
	copy(x.Pieces, s.made) // shorter where there are fewer volumes
	return stored{extent: x, digests: of.digests, unsettled: !t.settled(s.pieces())}, nil
}

// describeShards makes the descriptor of each shard.
func describeShards(req storing, of shape) ([][]byte, error) {
	of.code = req.keep.code
	descriptors := make([][]byte, of.code.Shards())
	for i := range descriptors {
		of.shard = i
		var err error
		if descriptors[i], err = req.describe(of); err != nil {
			return nil, err
		}
	}
	return descriptors, nil
}
