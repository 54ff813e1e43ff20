package master

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/volume"
)

// maxAttempts is how many volumes are tried for one piece.
const maxAttempts = 4

// storeSingle writes a body as one copy. A short one is held in memory, so that
// any failure can be made good on another volume; a longer one goes straight to
// its volume, and to another as long as none of it was read.
func (e *Engine) storeSingle(ctx context.Context, req storing, t *targets, b *body) (stored, error) {
	var s stored
	describe := func() ([]byte, error) {
		of := b.shape(e.now())
		s.digests, s.extent.Size = of.digests, of.size
		return req.describe(of)
	}
	open := func() (io.Reader, bool) { return b, !b.touched.Load() }
	if 0 <= req.size && req.size <= chunkSize {
		c := e.writes.chunk()
		defer e.writes.give(c)
		n, _, err := b.fill(c.data[:req.size])
		if err != nil {
			return stored{}, err
		}
		open = func() (io.Reader, bool) { return bytes.NewReader(c.data[:n]), true }
	}
	piece, lost, err := e.putSingle(ctx, t, req.size, open, describe)
	failpoint.At("put/single")
	e.queuePieces(ctx, lost)
	if failed := b.failed.Load(); failed != nil {
		return stored{}, failed
	}
	if err != nil {
		return stored{}, err
	}
	s.extent.Pieces = []meta.Piece{piece}
	s.unsettled = !t.settled(s.extent.Pieces)
	return s, nil
}

// putSingle puts a body to the first volume that takes it, as often as it can be
// opened. lost are the blobs that may be there, or come to be there, and are not
// the piece.
func (e *Engine) putSingle(ctx context.Context, t *targets, size int64, open func() (io.Reader, bool), describe volume.Descriptor) (piece meta.Piece, lost []meta.Piece, err error) {
	number := t.first(1)[0]
	for attempt := 1; ; attempt++ {
		body, ok := open()
		if !ok {
			return piece, lost, err
		}
		piece = meta.Piece{Volume: number, Blob: meta.BlobID(newBlobID())}
		described := false
		failed := e.put(ctx, piece, size, body, func() ([]byte, error) {
			d, err := describe()
			described = err == nil
			return d, err
		})
		if failed == nil {
			return piece, lost, nil
		}
		if described && !refusedByVolume(failed) {
			lost = append(lost, piece)
		}
		if err == nil {
			err = failed // of the volume that it belongs on
		}
		if attempt == maxAttempts || !worthAnother(ctx, failed) {
			return piece, lost, err
		}
		if number, ok = t.instead(number); !ok {
			return piece, lost, err
		}
	}
}

// put writes one blob.
func (e *Engine) put(ctx context.Context, p meta.Piece, size int64, body io.Reader, describe volume.Descriptor) error {
	blobs, err := e.volume(ctx, p.Volume)
	if err != nil {
		return err
	}
	if err := blobs.Put(ctx, volume.BlobID(p.Blob), size, body, describe); err != nil {
		return fmt.Errorf("volume %d: %w", p.Volume, err)
	}
	return nil
}
