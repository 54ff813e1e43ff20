package master

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// recordedPiece is a piece as the metadata has it. Its blob must be as long, and its
// descriptor must say the same.
type recordedPiece struct {
	meta.Piece
	of    owner
	size  int64 // of the blob
	shard int   // its number, where the extent is coded
}

// owner is an extent as the descriptors of its pieces know it.
type owner struct {
	bucket, key string
	upload      string // of a part
	part        int    // its number; 0: the object was written in one piece
	etag        string // of an object in one piece; empty: not known
	size        int64  // of the extent
	code        meta.Code
}

// piece is a piece that is to be that of a number of an extent.
func (o owner) piece(p meta.Piece, shard int) recordedPiece {
	w := recordedPiece{Piece: p, of: o, size: pieceSize(meta.Extent{Size: o.size, Code: o.code})}
	if o.code != (meta.Code{}) {
		w.shard = shard
	}
	return w
}

// owner is an extent that is recorded at a place.
func (l location) owner(x meta.Extent) owner {
	o := owner{bucket: l.bucket, key: l.key, upload: l.upload, part: l.part, size: x.Size, code: x.Code}
	if l.part == 0 {
		o.etag = l.etag
	}
	return o
}

// recorded is one of the pieces of an extent that is recorded at a place.
func (l location) recorded(x meta.Extent, p meta.Piece) recordedPiece {
	return l.owner(x).piece(p, slices.Index(x.Pieces, p))
}

// ownerIn is what a descriptor says.
func ownerIn(d metadb.Descriptor) owner {
	o := owner{
		bucket: d.Bucket, key: d.Key, upload: d.UploadID, part: d.PartNumber, size: d.Object.Size, code: d.Code,
	}
	if o.part == 0 {
		o.etag = d.Object.ETag
	}
	return o
}

// check compares what a blob is with what it should be; ErrCorrupt where they
// differ. Where the descriptor of a whole copy can not be read it says nothing: the
// id alone names the blob. A shard that does not say its number is not used, as in
// another's place it would give wrong bytes. What is part of something else is told
// from what is damaged, also where it has another length: that is not to be removed.
func (w recordedPiece) check(info volume.Info) error {
	d, err := metadb.UnmarshalDescriptor(info.Descriptor)
	coded := w.of.code != (meta.Code{})
	short := info.Size != w.size
	switch {
	case err != nil && short:
		return fmt.Errorf("%w: %d bytes, %d recorded", volume.ErrCorrupt, info.Size, w.size)
	case err != nil && coded:
		return fmt.Errorf("%w: its descriptor: %w", volume.ErrCorrupt, err)
	case err != nil:
		return nil
	}
	is := ownerIn(d)
	if is.etag == "" || w.of.etag == "" {
		is.etag = w.of.etag
	}
	switch {
	case is != w.of:
		return &strangerError{descriptor: d, recorded: w.of.text(w.shard)}
	case short:
		return fmt.Errorf("%w: %d bytes, %d recorded", volume.ErrCorrupt, info.Size, w.size)
	case d.Shard != w.shard:
		return fmt.Errorf("%w: it is shard %d of its extent, recorded as shard %d", volume.ErrCorrupt, d.Shard, w.shard)
	}
	return nil
}

// strangerError says of a piece that it is part of another extent than the one that
// names it. errors.Is matches it with volume.ErrCorrupt.
type strangerError struct {
	descriptor metadb.Descriptor // of the blob
	recorded   string            // what it should be
}

func (s *strangerError) Error() string {
	return fmt.Sprintf("the blob is %s, recorded as %s", ownerIn(s.descriptor).text(s.descriptor.Shard), s.recorded)
}

// Is matches volume.ErrCorrupt.
func (s *strangerError) Is(target error) bool { return target == volume.ErrCorrupt }

// print is a short form of what a piece is, not 0.
func (o owner) print(shard int) uint64 {
	sum := fnv.New64a()
	_, _ = fmt.Fprintf(sum, "%q %q %q %d %q %d %v %d", o.bucket, o.key, o.upload, o.part, o.etag, o.size, o.code, shard) // never fails
	return max(1, sum.Sum64())
}

// printIn is the print of what a descriptor says; 0 where it can not be read.
func printIn(descriptor []byte) uint64 {
	d, err := metadb.UnmarshalDescriptor(descriptor)
	if err != nil {
		return 0
	}
	return ownerIn(d).print(d.Shard)
}

// prints reports whether a print is what check lets pass.
func (w recordedPiece) prints(says uint64) bool {
	if says == 0 {
		return w.of.code == (meta.Code{})
	}
	return says == w.of.print(w.shard)
}

// text names a piece for people.
func (o owner) text(shard int) string {
	text := fmt.Sprintf("%s/%s", o.bucket, o.key)
	if o.upload != "" {
		text += fmt.Sprintf(" part %d of upload %s", o.part, o.upload)
	}
	if o.etag != "" {
		text += fmt.Sprintf(" (%s)", o.etag)
	}
	if o.code != (meta.Code{}) {
		text += fmt.Sprintf(" shard %d of %d+%d", shard, o.code.Data, o.code.Parity)
	}
	return text + fmt.Sprintf(" of %d bytes", o.size)
}

// openRecorded opens a run of bytes of a piece that is what it should be.
func (e *Engine) openRecorded(ctx context.Context, w recordedPiece, offset, length int64) (volume.Info, io.ReadCloser, error) {
	blobs, err := e.volume(ctx, w.Volume)
	if err != nil {
		return volume.Info{}, nil, err
	}
	began := time.Now()
	info, blob, err := blobs.Open(ctx, volume.BlobID(w.Blob), offset, length)
	if err != nil {
		return volume.Info{}, nil, e.unopened(w.Piece, began, err)
	}
	if err := w.check(info); err != nil {
		_ = blob.Close() // nothing was read
		return volume.Info{}, nil, err
	}
	return info, blob, nil
}

// unopened is what it means that a piece could not be opened.
func (e *Engine) unopened(p meta.Piece, began time.Time, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		e.atLeast(p.Volume, time.Since(began)) // others are not to wait for it again
	case isAny(err, volume.ErrNotFound, volume.ErrInvalid):
		// The record says that these bytes are there.
		return fmt.Errorf("%w: %w", volume.ErrCorrupt, err)
	}
	return err
}

// statRecorded asks the volume of a piece what it is; ErrCorrupt where that is not
// what it should be.
func (e *Engine) statRecorded(ctx context.Context, w recordedPiece) (Blobs, volume.Info, error) {
	blobs, err := e.volume(ctx, w.Volume)
	if err != nil {
		return nil, volume.Info{}, err
	}
	info, err := blobs.Stat(ctx, volume.BlobID(w.Blob))
	if err == nil {
		err = w.check(info)
	}
	return blobs, info, err
}

// verifyPiece reads a piece where it lies, whole; ErrCorrupt where it is not what
// it should be.
func (e *Engine) verifyPiece(ctx context.Context, w recordedPiece) error {
	blobs, _, err := e.statRecorded(ctx, w)
	if err != nil {
		return err
	}
	return blobs.Verify(ctx, volume.BlobID(w.Blob))
}
