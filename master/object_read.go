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
	pin    pin
	closed sync.Once
}

func (r *objectReader) Object() meta.Object { return *r.pin.object }

func (r *objectReader) Close() error {
	r.closed.Do(r.pin.release)
	return nil
}

// Range opens length bytes from offset. The first extent is opened before it
// returns, so that one that can not be read is an error here; the others follow
// as they are reached. A range outside the object is an error of KindInternal.
func (r *objectReader) Range(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	o := r.pin.object
	if offset < 0 || length < 0 || offset > o.Size || length > o.Size-offset {
		return nil, fault("read object", o.Bucket, o.Key,
			fmt.Errorf("range of %d bytes from %d is outside the object of %d bytes", length, offset, o.Size))
	}
	return orNil((&rangeReader{ctx: ctx, engine: r.engine, pin: &r.pin, left: length}).begin(offset))
}

// orNil keeps a nil pointer out of the interface.
func orNil(x *rangeReader, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	return x, nil
}

// source gives the bytes of a run of an extent, exactly these or an error. An
// error of the writer goes through WriteTo as it is.
type source interface {
	io.ReadCloser
	io.WriterTo
}

// rangeReader walks the extents of a version, one open at a time. It is used by
// one goroutine.
type rangeReader struct {
	ctx    context.Context
	engine *Engine
	pin    *pin // nil once closed
	left   int64
	share  int64 // of the memory for reads

	extents []meta.Extent        // those ahead that are loaded
	parts   []int                // the numbers of their parts; empty: the object has none
	skip    int64                // bytes to leave out of the first of them
	index   metadb.ManifestIndex // of an assembled object
	chunk   uint32               // the chunk of index to load next

	extent meta.Extent // the one that is read
	part   int         // the number of its part; 0: none
	offset int64       // of the next byte in it
	source source      // that gives it; nil: none is open
	want   int64       // bytes still to come from source
	failed error       // why there are no more bytes

	copies copies // the source, of an extent that is not coded
	sink   sink
}

// begin opens what is to be read, from offset on, and takes hold of the pin.
func (x *rangeReader) begin(offset int64) (*rangeReader, error) {
	x.pin.retain()
	if x.left == 0 {
		return x, nil
	}
	err := x.seek(offset)
	if err == nil {
		x.share, err = x.engine.readShares.take(x.ctx, x.memory())
	}
	if err == nil {
		err = x.openNext()
	}
	if err != nil {
		err = x.fault(err)
		_ = x.Close() // nothing is open
		return nil, err
	}
	return x, nil
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

// memory is the most that is needed for any extent that there may be ahead.
func (x *rangeReader) memory() int64 {
	var most int64
	for _, extent := range x.extents {
		most = max(most, readMemory(extent.Code, min(x.left, extent.Size)))
	}
	if o := x.pin.object; o.Manifest != "" {
		most = max(most, readMemory(x.engine.classes[o.Headers.StorageClass].Code, x.left))
	}
	return most
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
		x.extents, x.parts = nil, nil
		for _, p := range parts {
			for _, extent := range p.Extents {
				x.extents, x.parts = append(x.extents, extent), append(x.parts, p.Number)
			}
		}
		return err
	})
	x.chunk++
	return err
}

// step makes the first of the extents ahead the one that is read.
func (x *rangeReader) step() {
	x.extent, x.extents = x.extents[0], x.extents[1:]
	if len(x.parts) > 0 {
		x.part, x.parts = x.parts[0], x.parts[1:]
	}
}

// openNext closes what was read and opens the next extent with bytes in it. There
// must be bytes left to read.
func (x *rangeReader) openNext() error {
	if err := x.closeSource(); err != nil {
		return err
	}
	for {
		if len(x.extents) == 0 {
			if err := x.loadChunk(); err != nil {
				return err
			}
			continue
		}
		x.step()
		if x.extent.Size > x.skip {
			x.offset, x.skip = x.skip, 0
			return x.open()
		}
		x.skip -= x.extent.Size
	}
}

// open opens the extent at offset. Where it can not be read, it may have been
// moved since its place was read: that is looked up again.
func (x *rangeReader) open() error {
	for {
		err := x.openSource(min(x.left, x.extent.Size-x.offset))
		if err == nil || !x.relocate() {
			return err
		}
	}
}

func (x *rangeReader) openSource(length int64) error {
	var s source
	var err error
	if x.extent.Code == (meta.Code{}) {
		s, err = x.openCopies(length)
	} else {
		s, err = x.openShards(length)
	}
	if err != nil {
		return err
	}
	x.source, x.want = s, length
	return nil
}

// origin names the extent that is read.
func (x *rangeReader) origin() origin {
	o := x.pin.object
	at := origin{bucket: o.Bucket, key: o.Key, seq: x.pin.seq}
	if x.part > 0 {
		at.upload, at.part = o.UploadID, x.part
	}
	return at
}

// owner is the extent that is read.
func (x *rangeReader) owner() owner {
	at := x.origin()
	return location{
		bucket: at.bucket, key: at.key, upload: at.upload, part: at.part, etag: x.pin.object.ETag,
	}.owner(x.extent)
}

// relocate reads the record again that the extent came from, and reports whether
// its pieces have changed since. It goes on with those.
func (x *rangeReader) relocate() bool {
	was, ahead := x.extent, len(x.extents)
	if x.pin.object.Manifest == "" {
		extents, ok := x.lookAgain()
		if !ok || len(extents) <= ahead {
			return false
		}
		x.extents = extents
	} else {
		x.chunk--
		if err := x.loadChunk(); err != nil || len(x.extents) <= ahead {
			return false
		}
		x.parts = x.parts[len(x.parts)-ahead-1:]
	}
	x.extents = x.extents[len(x.extents)-ahead-1:]
	x.step()
	return x.extent.Size == was.Size && x.extent.Code == was.Code && !slices.Equal(x.extent.Pieces, was.Pieces)
}

// lookAgain returns the extents of the version as they are recorded now. Its
// pieces were pinned, so they are where they were, unless a volume was lost with
// them: what was made in their place is not pinned, and stays for the grace at least.
func (x *rangeReader) lookAgain() ([]meta.Extent, bool) {
	o, seq := x.pin.object, x.pin.seq
	var now *metadb.ObjectRow
	err := x.engine.view(x.ctx, func(tx metadb.Tx) (err error) {
		if now, err = current(tx, o.Bucket, o.Key); err == nil && now != nil && now.Seq != seq {
			now, err = getVersion(tx, metadb.VersionKey(o.Bucket, o.Key, seq), o.Bucket, o.Key)
		}
		return err
	})
	if err != nil || now == nil || now.Seq != seq || !now.Modified.Equal(o.Modified) || now.ETag != o.ETag {
		return nil, false
	}
	return now.Extents, len(now.Extents) == len(o.Extents)
}

// advance makes sure that a source with bytes to come is open; io.EOF at the end
// of the range.
func (x *rangeReader) advance() error {
	switch {
	case x.pin == nil:
		return fmt.Errorf("read object: %w", io.ErrClosedPipe)
	case x.failed != nil:
		return x.failed
	case x.left == 0:
		return io.EOF
	case x.want > 0:
		return nil
	}
	x.failed = x.fault(x.openNext())
	return x.failed
}

// count notes n bytes that the source gave.
func (x *rangeReader) count(n int64) {
	x.left -= n
	x.want -= n
	x.offset += n
}

// broken deals with an error of the source: the extent is opened again where its
// pieces have changed.
func (x *rangeReader) broken(err error) error {
	if x.ctx.Err() != nil || !x.relocate() {
		x.failed = x.fault(err)
		return x.failed
	}
	_ = x.closeSource() // it has failed already
	x.failed = x.fault(x.open())
	return x.failed
}

func (x *rangeReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := x.advance(); err != nil {
		return 0, err
	}
	n, err := x.source.Read(p[:min(int64(len(p)), x.want)])
	x.count(int64(n))
	if err != nil {
		err = x.broken(err)
	}
	return n, err
}

// WriteTo lets each blob write itself, which saves a copy.
func (x *rangeReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	x.sink = sink{w: w}
	for {
		if err := x.advance(); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return total, err
		}
		n, err := x.source.WriteTo(&x.sink)
		total += n
		x.count(n)
		if x.sink.err != nil {
			return total, x.sink.err // the reader's side is gone, not ours
		}
		if err != nil {
			if err = x.broken(err); err != nil {
				return total, err
			}
		}
	}
}

// sink tells an error of the writer from one of the source.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

func (x *rangeReader) closeSource() error {
	if x.source == nil {
		return nil
	}
	err := x.source.Close()
	x.source, x.want = nil, 0
	return err
}

func (x *rangeReader) Close() error {
	if x.pin == nil {
		return nil
	}
	err := x.fault(x.closeSource())
	x.engine.readShares.give(x.share)
	x.pin.release()
	x.pin = nil
	return err
}

func (x *rangeReader) fault(err error) error {
	if errors.Is(err, volume.ErrUnavailable) && errors.Is(err, volume.ErrCorrupt) {
		err = fmt.Errorf("%w: %v", volume.ErrUnavailable, err) // what can not be reached may be good
	}
	return fault("read object", x.pin.object.Bucket, x.pin.object.Key, err)
}
