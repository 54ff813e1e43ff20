package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
	"tdkvs/volume"
)

// PutObject stores a body of up to meta.MaxPutSize bytes and commits it as the
// current version of a key. Bucket, conditions and record size are checked
// before the body is read, and again in the commit, where alone they are exact.
// Modified is the time of the commit in milliseconds, and always later than that
// of the version replaced.
func (e *Engine) PutObject(ctx context.Context, req meta.PutRequest, payload meta.Payload) (meta.Object, error) {
	obj, err := e.putObject(ctx, req, payload)
	if err != nil {
		return meta.Object{}, fault("put object", req.Bucket, req.Key, err)
	}
	return obj, nil
}

func (e *Engine) putObject(ctx context.Context, req meta.PutRequest, payload meta.Payload) (meta.Object, error) {
	if err := checkName(req.Bucket, req.Key); err != nil {
		return meta.Object{}, err
	}
	obj := meta.Object{
		Bucket: req.Bucket, Key: req.Key, Owner: req.Owner, Attributes: req.Attributes,
		Modified: req.Modified.UTC().Truncate(time.Millisecond),
	}
	describe := func(s shape) ([]byte, error) {
		o := obj
		o.Size, o.Digests = s.size, s.digests
		if o.Modified.IsZero() {
			o.Modified = e.now()
		}
		return metadb.MarshalDescriptor(&metadb.Descriptor{
			Bucket: o.Bucket, Key: o.Key, VersionID: o.VersionID, Object: o, Code: s.code, Shard: s.shard,
		})
	}
	if _, err := describe(shape{}); err != nil {
		return meta.Object{}, err
	}
	l, done := e.layouts.write() // before the bucket is read: a change of its replicas comes with a new layout
	defer done()
	b, err := e.guard(ctx, req.Bucket, req.Key, req.Precondition, req.Lock)
	if err != nil {
		return meta.Object{}, err
	}
	stored, err := e.store(ctx, storing{
		layout: l, hash: placement.KeyHash(req.Bucket, req.Key), size: req.Size,
		keep: e.redundancyFor(l, b, req.Headers.StorageClass, req.Size), describe: describe,
	}, payload)
	if err != nil {
		return meta.Object{}, err
	}
	obj.Size, obj.Digests, obj.Extents = stored.extent.Size, stored.digests, []meta.Extent{stored.extent}
	obj, unknown, err := e.commitPut(ctx, obj, req.Precondition, stored.unsettled)
	if err != nil {
		e.abandon(ctx, stored.extent.Pieces, unknown)
		return meta.Object{}, err
	}
	return obj, nil
}

// commitPut makes obj the current version of its key. Where its pieces are not
// all where they should be, they are queued for repair with it.
func (e *Engine) commitPut(ctx context.Context, obj meta.Object, p meta.Precondition, unsettled bool) (committed meta.Object, unknown bool, err error) {
	unknown, err = e.edit(ctx, obj.Bucket, func(x *edit) error {
		was, err := current(x.tx, obj.Bucket, obj.Key)
		if err != nil {
			return err
		}
		if err := p.Check(live(was)); err != nil {
			return err
		}
		committed = obj
		if committed.Modified.IsZero() {
			committed.Modified = stamp(was, x.now)
		}
		if committed.Lock, err = lockFor(x.bucket, obj.Lock, committed.Modified); err != nil {
			return err
		}
		seq, err := x.put(was, &committed)
		if err == nil && unsettled {
			err = queueRepair(x.tx, x.now, metadb.Repair{Bucket: obj.Bucket, Key: obj.Key, Seq: seq, Queued: x.now})
		}
		committed.VersionID = shownID(x.bucket, committed.VersionID)
		return err
	})
	return committed, unknown, err
}

// stored is a body that is durable on its volumes and not yet part of anything.
type stored struct {
	extent    meta.Extent
	digests   meta.Digests
	unsettled bool // not all pieces are there, or not where they should be: to be queued for repair
}

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
	code    meta.Code // of a shard; zero: the blob is a whole copy
	shard   int
}

// store writes a body as one extent to the volumes that it belongs on.
func (e *Engine) store(ctx context.Context, req storing, payload meta.Payload) (stored, error) {
	if req.size > meta.MaxPutSize {
		return stored{}, tooLarge()
	}
	if err := e.sealed(); err != nil {
		return stored{}, err // its commit could only fail, and leave the blob
	}
	numbers, err := req.layout.place(req.hash, req.keep.pieces())
	if err != nil {
		return stored{}, err
	}
	blobs, err := e.volume(ctx, numbers[0])
	if err != nil {
		return stored{}, err
	}
	e.foreground.Add(1)
	defer e.foreground.Add(-1)
	body := &body{payload: payload, size: req.size}
	s := stored{unsettled: req.keep.pieces() > 1}
	var described atomic.Bool
	id := newBlobID()
	err = blobs.Put(ctx, id, req.size, body, func() ([]byte, error) {
		s.digests = payload.Digests()
		s.extent.Size = body.read.Load()
		d, err := req.describe(shape{size: s.extent.Size, digests: s.digests})
		described.Store(err == nil)
		return d, err
	})
	piece := meta.Piece{Volume: numbers[0], Blob: meta.BlobID(id)}
	if err != nil {
		if failed := body.failed.Load(); failed != nil {
			return stored{}, failed
		}
		if described.Load() && !refusedByVolume(err) {
			e.queuePieces(ctx, []meta.Piece{piece}) // it may be there, or come to be there
		}
		return stored{}, fmt.Errorf("volume %d: %w", numbers[0], err)
	}
	s.extent.Pieces = []meta.Piece{piece}
	return s, nil
}

// refusedByVolume reports that the volume itself has said that it stored
// nothing, as opposed to an answer that was lost or a write that failed halfway.
func refusedByVolume(err error) bool {
	for _, target := range []error{volume.ErrNoSpace, volume.ErrExists, volume.ErrInvalid, volume.ErrDenied, volume.ErrWrongVolume} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func tooLarge() error {
	return &meta.Error{Kind: meta.KindEntityTooLarge, Message: fmt.Sprintf("the limit is %d bytes", int64(meta.MaxPutSize))}
}

// body counts a payload, holds it to its length, and remembers its error.
type body struct {
	payload meta.Payload
	size    int64 // -1: not known
	read    atomic.Int64
	failed  atomic.Pointer[payloadError]
}

func (b *body) Read(p []byte) (int, error) {
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

// abandonTimeout bounds the removal of a blob that became part of nothing.
const abandonTimeout = 10 * time.Second

// abandon removes pieces that became part of nothing, or queues them where their
// volume does not answer. After a commit of unknown outcome they stay: the
// record may turn out to be there.
func (e *Engine) abandon(ctx context.Context, p []meta.Piece, unknown bool) {
	if unknown {
		e.log.WarnContext(ctx, "a commit failed with unknown outcome; its blobs are kept", "pieces", piecesText(p))
		return
	}
	ctx = context.WithoutCancel(ctx)
	limited, cancel := context.WithTimeout(ctx, abandonTimeout)
	defer cancel()
	var left []meta.Piece
	for _, piece := range p {
		blobs, err := e.volume(limited, piece.Volume)
		if err == nil {
			err = blobs.Delete(limited, []volume.BlobID{volume.BlobID(piece.Blob)})
		}
		if err != nil {
			left = append(left, piece)
		}
	}
	e.queuePieces(ctx, left)
}

// queuePieces queues pieces that are part of nothing. The grace lets a write
// that is still under way on its volume come to its end.
func (e *Engine) queuePieces(ctx context.Context, p []meta.Piece) {
	if len(p) == 0 {
		return
	}
	_, err := e.update(context.WithoutCancel(ctx), func(tx metadb.Tx) error { return e.retireBlobs(tx, p, e.now()) })
	if err != nil {
		e.log.ErrorContext(ctx, "unused blobs could be neither removed nor queued", "pieces", piecesText(p), "error", err)
	}
}

// piecesText names pieces for a log line.
func piecesText(p []meta.Piece) []string {
	names := make([]string, len(p))
	for i, piece := range p {
		names[i] = fmt.Sprintf("%d/%x", piece.Volume, piece.Blob)
	}
	return names
}
