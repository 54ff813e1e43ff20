package master

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tdkvs/master/erasure"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// shards opens the shards of a coded extent. It is used by several goroutines,
// also when the reader that it was made for has gone on to another extent.
type shards struct {
	engine *Engine
	from   origin
	of     owner
	pieces []meta.Piece
}

// errMissingShard says that a shard was never written, or given up as lost.
var errMissingShard = errors.New("no volume has it")

// openShards opens length bytes of the coded extent that is read.
func (x *rangeReader) openShards(length int64) (source, error) {
	coder, err := x.engine.coder(x.extent.Code)
	if err != nil {
		return nil, err
	}
	if len(x.extent.Pieces) != coder.Shards() {
		return nil, fmt.Errorf("%w: %d shards of a code %s", metadb.ErrBadRecord, len(x.extent.Pieces), coder.Scheme)
	}
	s := &shards{engine: x.engine, from: x.origin(), of: x.owner(), pieces: x.extent.Pieces}
	r := coder.NewReader(x.ctx, x.extent.Size, x.offset, length, s.open, s.patience(coder.Data))
	if err := r.Prepare(); err != nil {
		_ = r.Close() // nothing was read
		return nil, err
	}
	return r, nil
}

// patience is how long shards are waited for: to begin with, as long as the
// slowest of those with data in them usually takes.
func (s *shards) patience(data int) erasure.Patience {
	p := erasure.Patience{Next: s.engine.patience.stall}
	for _, piece := range s.pieces[:data] {
		if !piece.Missing() {
			p.Begin = max(p.Begin, s.engine.hedge(piece.Volume))
		}
	}
	return p
}

// open implements erasure.Open.
func (s *shards) open(ctx context.Context, shard int, offset, length int64) (io.ReadCloser, error) {
	piece := s.pieces[shard]
	if piece.Missing() {
		return nil, fmt.Errorf("%w: %w", volume.ErrCorrupt, errMissingShard)
	}
	b := &shardBlob{ctx: ctx, of: s, piece: piece, left: length}
	var err error
	if _, b.blob, err = s.engine.openRecorded(ctx, s.of.piece(piece, shard), offset, length); err != nil {
		return nil, b.judge(fmt.Errorf("volume %d: blob %s: %w", piece.Volume, volume.BlobID(piece.Blob), err))
	}
	return b, nil
}

// shardBlob is a shard that is being read. It gives exactly the bytes that it was
// opened for, or an error, and has that reported.
type shardBlob struct {
	ctx   context.Context
	of    *shards
	piece meta.Piece
	blob  io.ReadCloser
	left  int64
}

// Read implements io.Reader.
func (b *shardBlob) Read(p []byte) (int, error) {
	n, err := b.blob.Read(p)
	b.left -= int64(n)
	if b.left > 0 && errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: volume %d: blob %s is %d bytes short", volume.ErrCorrupt, b.piece.Volume, volume.BlobID(b.piece.Blob), b.left)
	}
	return n, b.judge(err)
}

func (b *shardBlob) judge(err error) error {
	if b.left > 0 && b.ctx.Err() == nil && errors.Is(err, volume.ErrCorrupt) {
		b.of.engine.suspects.report(b.of.from, b.piece)
	}
	return err
}

// Close implements io.Closer.
func (b *shardBlob) Close() error { return b.blob.Close() }
