package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// objectReader is an open version.
type objectReader struct {
	engine *Engine
	pin    *pin
	closed sync.Once
}

func (r *objectReader) Object() meta.Object { return *r.pin.object }

func (r *objectReader) Close() error {
	r.closed.Do(r.pin.release)
	return nil
}

// Range opens length bytes from offset. The first blob is opened before it
// returns, so that a volume that is down is an error here; the others follow as
// they are reached. A range outside the object is an error of KindInternal.
func (r *objectReader) Range(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	o := r.pin.object
	if offset < 0 || length < 0 || offset > o.Size || length > o.Size-offset {
		return nil, fault("read object", o.Bucket, o.Key,
			fmt.Errorf("range of %d bytes from %d is outside the object of %d bytes", length, offset, o.Size))
	}
	r.pin.retain()
	x := &rangeReader{ctx: ctx, engine: r.engine, pin: r.pin, left: length}
	if length == 0 {
		return x, nil
	}
	err := x.seek(offset)
	if err == nil {
		err = x.openNext()
	}
	if err != nil {
		err = x.fault(err)
		_ = x.Close() // no blob is open
		return nil, err
	}
	return x, nil
}

// rangeReader walks the extents of a version, one blob open at a time. It is
// used by one goroutine.
type rangeReader struct {
	ctx    context.Context
	engine *Engine
	pin    *pin // nil once closed
	left   int64

	extents []meta.Extent        // those ahead that are loaded
	skip    int64                // bytes to leave out of the first of them
	index   metadb.ManifestIndex // of an assembled object
	chunk   uint32               // the chunk of index to load next
	blob    io.ReadCloser        // the one open; nil: none
	want    int64                // bytes still to come from blob
}

// seek loads the extents up to the one that holds offset; openNext skips those
// before it.
func (x *rangeReader) seek(offset int64) error {
	o := x.pin.object
	x.extents, x.skip = o.Extents, offset
	if o.Manifest != "" {
		return x.seekManifest(offset)
	}
	return nil
}

func (x *rangeReader) seekManifest(offset int64) error {
	o := x.pin.object
	err := x.engine.view(x.ctx, func(tx metadb.Tx) (err error) {
		x.index, err = manifestIndex(tx, o.UploadID, o.Manifest)
		return err
	})
	if err != nil {
		return err
	}
	x.chunk = x.index.ForOffset(offset)
	if x.chunk == 0 {
		return fmt.Errorf("%w: the manifest is empty", volume.ErrCorrupt)
	}
	x.skip = offset - x.index.Chunks[x.chunk-1].Offset
	return x.loadChunk()
}

// loadChunk loads the extents of the next chunk of the manifest.
func (x *rangeReader) loadChunk() error {
	o := x.pin.object
	if x.chunk == 0 || int(x.chunk) > len(x.index.Chunks) {
		return fmt.Errorf("%w: the extents end %d bytes early", volume.ErrCorrupt, x.left)
	}
	err := x.engine.view(x.ctx, func(tx metadb.Tx) error {
		parts, err := manifestChunk(tx, o.UploadID, o.Manifest, x.chunk)
		x.extents = nil
		for _, p := range parts {
			x.extents = append(x.extents, p.Extents...)
		}
		return err
	})
	x.chunk++
	return err
}

// openNext closes the blob that was read and opens that of the next extent with
// bytes in it. There must be bytes left to read.
func (x *rangeReader) openNext() error {
	if err := x.closeBlob(); err != nil {
		return err
	}
	for {
		if len(x.extents) == 0 {
			if err := x.loadChunk(); err != nil {
				return err
			}
			continue
		}
		extent := x.extents[0]
		x.extents = x.extents[1:]
		if extent.Size > x.skip {
			return x.openExtent(extent)
		}
		x.skip -= extent.Size
	}
}

// relocate reads the chunk of the manifest again that an extent came from, and
// returns the extent's place as it is now; not found where that has not changed.
// An object without a manifest needs none of this: its pieces are pinned.
func (x *rangeReader) relocate(extent meta.Extent) (moved meta.Extent, found bool) {
	if x.pin.object.Manifest == "" {
		return extent, false
	}
	behind := len(x.extents)
	x.chunk--
	if err := x.loadChunk(); err != nil || len(x.extents) <= behind {
		return extent, false
	}
	i := len(x.extents) - behind - 1
	moved, x.extents = x.extents[i], x.extents[i+1:]
	return moved, moved.Size == extent.Size && !slices.Equal(moved.Pieces, extent.Pieces)
}

// openExtent opens the first piece that can be opened. Where there is none, the
// extent may have been moved since its place was read: it is looked up again.
func (x *rangeReader) openExtent(extent meta.Extent) error {
	offset := x.skip
	x.skip = 0
	err := x.openAt(extent, offset)
	if err == nil {
		return nil
	}
	moved, found := x.relocate(extent)
	if !found {
		return err
	}
	return x.openAt(moved, offset)
}

func (x *rangeReader) openAt(extent meta.Extent, offset int64) error {
	length := min(x.left, extent.Size-offset)
	err := fmt.Errorf("%w: an extent without a piece", volume.ErrCorrupt)
	for _, piece := range extent.Pieces {
		var blob io.ReadCloser
		if blob, err = x.openPiece(piece, offset, length); err == nil {
			x.blob, x.want = blob, length
			return nil
		}
	}
	return err
}

func (x *rangeReader) openPiece(piece meta.Piece, offset, length int64) (io.ReadCloser, error) {
	id := volume.BlobID(piece.Blob)
	blobs, err := x.engine.volume(x.ctx, piece.Volume)
	if err != nil {
		return nil, err
	}
	blob, err := blobs.Get(x.ctx, id, offset, length)
	switch {
	case errors.Is(err, volume.ErrNotFound), errors.Is(err, volume.ErrInvalid):
		// The record says that these bytes are there.
		return nil, fmt.Errorf("%w: volume %d: blob %s: %w", volume.ErrCorrupt, piece.Volume, id, err)
	case err != nil:
		return nil, fmt.Errorf("volume %d: blob %s: %w", piece.Volume, id, err)
	}
	return blob, nil
}

// advance makes sure that a blob with bytes to come is open; io.EOF at the end
// of the range.
func (x *rangeReader) advance() error {
	switch {
	case x.pin == nil:
		return fmt.Errorf("read object: %w", io.ErrClosedPipe)
	case x.left == 0:
		return io.EOF
	case x.want > 0:
		return nil
	}
	return x.fault(x.openNext())
}

// taken counts n bytes that the open blob gave, with the error beside them.
func (x *rangeReader) taken(n int64, err error) error {
	x.left -= n
	x.want -= n
	switch {
	case x.want < 0:
		return x.fault(fmt.Errorf("%w: a blob gave %d bytes too many", volume.ErrCorrupt, -x.want))
	case x.want == 0 && (err == nil || errors.Is(err, io.EOF)):
		return nil
	case errors.Is(err, io.EOF):
		return x.fault(fmt.Errorf("%w: a blob is %d bytes short", volume.ErrCorrupt, x.want))
	case err != nil:
		return x.fault(err)
	}
	return nil
}

func (x *rangeReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := x.advance(); err != nil {
		return 0, err
	}
	n, err := x.blob.Read(p[:min(int64(len(p)), x.want)])
	return n, x.taken(int64(n), err)
}

// WriteTo lets each blob write itself, which saves a copy.
func (x *rangeReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if err := x.advance(); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return total, err
		}
		sink := &writeWatch{w: w}
		n, err := io.Copy(sink, x.blob)
		total += n
		if err == nil {
			err = io.EOF // io.Copy ends at it
		}
		switch err = x.taken(n, err); {
		case sink.err != nil:
			return total, sink.err // the reader's side is gone, not ours
		case err != nil:
			return total, err
		}
	}
}

// writeWatch tells an error of the writer from one of the blob.
type writeWatch struct {
	w   io.Writer
	err error
}

func (s *writeWatch) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

func (x *rangeReader) closeBlob() error {
	if x.blob == nil {
		return nil
	}
	err := x.blob.Close()
	x.blob, x.want = nil, 0
	return err
}

func (x *rangeReader) Close() error {
	if x.pin == nil {
		return nil
	}
	err := x.fault(x.closeBlob())
	x.pin.release()
	x.pin = nil
	return err
}

func (x *rangeReader) fault(err error) error {
	return fault("read object", x.pin.object.Bucket, x.pin.object.Key, err)
}
