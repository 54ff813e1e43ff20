package master

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
)

// newUploadID returns a fresh id for an upload of a key. The first four of its
// random bytes give way to the hash of bucket and key, so that it can be told
// later whose it is, or was.
func newUploadID(at time.Time, bucket, key string) string {
	b, _ := idEncoding().DecodeString(newID(rankOf(at)))
	binary.BigEndian.PutUint32(b[8:], uint32(placement.KeyHash(bucket, key)))
	return idEncoding().EncodeToString(b)
}

// isUploadIDOf reports whether an id is, or was, one of this key.
func isUploadIDOf(id, bucket, key string) bool {
	b, err := idEncoding().DecodeString(id)
	return err == nil && len(b) == idBytes && binary.BigEndian.Uint32(b[8:]) == uint32(placement.KeyHash(bucket, key))
}

// getUpload returns the row of an upload in progress.
func getUpload(tx metadb.Tx, bucket, key, uploadID string) (meta.Upload, error) {
	err := metadb.ErrNotFound
	var b []byte
	if _, ok := parseID(uploadID); ok {
		b, err = tx.Get(metadb.UploadKey(bucket, key, uploadID))
	}
	if errors.Is(err, metadb.ErrNotFound) {
		if err := needBucket(tx, bucket); err != nil {
			return meta.Upload{}, err
		}
		return meta.Upload{}, refuse(meta.KindNoSuchUpload)
	}
	if err != nil {
		return meta.Upload{}, err
	}
	up, err := metadb.UnmarshalUpload(b)
	up.Bucket, up.Key, up.UploadID = bucket, key, uploadID
	return up, err
}

func setUpload(tx metadb.Tx, up *meta.Upload) error {
	row, err := metadb.MarshalUpload(up)
	if err != nil {
		return err
	}
	return tx.Set(metadb.UploadKey(up.Bucket, up.Key, up.UploadID), row)
}

// CreateUpload begins a multipart upload and fills in UploadID and Initiated.
func (e *Engine) CreateUpload(ctx context.Context, up meta.Upload) (meta.Upload, error) {
	err := checkName(up.Bucket, up.Key)
	if err == nil {
		at := e.clock()
		up.UploadID, up.Initiated, up.Revision = newUploadID(at, up.Bucket, up.Key), at.UTC().Truncate(time.Millisecond), 0
		_, err = e.update(ctx, func(tx metadb.Tx) error {
			b, err := getBucket(tx, up.Bucket)
			if err != nil {
				return err
			}
			if err := lockable(b, up.Lock); err != nil {
				return err
			}
			return setUpload(tx, &up)
		})
		failpoint.At("upload/created")
	}
	if err != nil {
		return meta.Upload{}, fault("create upload", up.Bucket, up.Key, err)
	}
	return up, nil
}

// Upload returns an upload in progress; KindNoSuchUpload when there is none.
func (e *Engine) Upload(ctx context.Context, bucket, key, uploadID string) (meta.Upload, error) {
	_, up, err := e.upload(ctx, bucket, key, uploadID)
	return up, fault("get upload", bucket, key, err)
}

func (e *Engine) upload(ctx context.Context, bucket, key, uploadID string) (b meta.Bucket, up meta.Upload, err error) {
	if err := checkName(bucket, key); err != nil {
		return b, up, err
	}
	err = e.view(ctx, func(tx metadb.Tx) error {
		if up, err = getUpload(tx, bucket, key, uploadID); err != nil {
			return err
		}
		b, err = getBucket(tx, bucket)
		return err
	})
	return b, up, err
}

// UploadParts returns up to limit parts (0: all) with numbers above after, and
// the upload as of the same moment.
func (e *Engine) UploadParts(ctx context.Context, bucket, key, uploadID string, after, limit int) (meta.Upload, []meta.Part, error) {
	var up meta.Upload
	var parts []meta.Part
	err := checkName(bucket, key)
	if err == nil {
		err = e.view(ctx, func(tx metadb.Tx) error {
			var err error
			parts = nil
			if up, err = getUpload(tx, bucket, key, uploadID); err != nil {
				return err
			}
			if after >= meta.MaxParts {
				return nil
			}
			r := metadb.PartRange(uploadID, max(0, after))
			return tx.Scan(r.Start, r.End, func(_, row []byte) (bool, error) {
				p, err := metadb.UnmarshalPart(row)
				parts = append(parts, p)
				return limit <= 0 || len(parts) < limit, err
			})
		})
	}
	if err != nil {
		return meta.Upload{}, nil, fault("list parts", bucket, key, err)
	}
	return up, parts, nil
}

// PutPart stores one part of up to meta.MaxPutSize bytes; a part of the same
// number is replaced. Every part raises the upload's revision.
func (e *Engine) PutPart(ctx context.Context, bucket, key, uploadID string, number int, size int64, payload meta.Payload) (meta.Part, error) {
	p, err := e.putPart(ctx, bucket, key, uploadID, number, size, payload)
	if err != nil {
		return meta.Part{}, fault("put part", bucket, key, err)
	}
	return p, nil
}

func (e *Engine) putPart(ctx context.Context, bucket, key, uploadID string, number int, size int64, payload meta.Payload) (meta.Part, error) {
	if number < 1 || number > meta.MaxParts {
		return meta.Part{}, &meta.Error{Kind: meta.KindInvalidPart, Message: fmt.Sprintf("part numbers run from 1 to %d", meta.MaxParts)}
	}
	l, done := e.layouts.write() // before the bucket is read: a change of its replicas comes with a new layout
	defer done()
	b, up, err := e.upload(ctx, bucket, key, uploadID)
	if err != nil {
		return meta.Part{}, err
	}
	describe := func(s shape) ([]byte, error) {
		return metadb.MarshalDescriptor(&metadb.Descriptor{
			Bucket: bucket, Key: key, UploadID: uploadID, PartNumber: number, Code: s.code, Shard: s.shard,
			Object: meta.Object{Size: s.size, Modified: s.read, Digests: s.digests, Attributes: up.Attributes, Owner: up.Owner},
		})
	}
	stored, err := e.store(ctx, storing{
		layout: l, hash: placement.PartHash(bucket, key, number), size: size,
		keep: e.redundancyFor(l, b, up.Headers.StorageClass, size), describe: describe,
	}, payload)
	if err != nil {
		return meta.Part{}, err
	}
	part := meta.Part{Number: number, Size: stored.extent.Size, Digests: stored.digests, Extents: []meta.Extent{stored.extent}}
	failpoint.At("part/stored")
	unknown, err := e.update(ctx, func(tx metadb.Tx) error {
		if err := e.commitPart(tx, bucket, key, uploadID, &part); err != nil || !stored.unsettled {
			return err
		}
		now := e.now()
		return queueRepair(tx, now, metadb.Repair{Bucket: bucket, Key: key, UploadID: uploadID, Part: number, Queued: now})
	})
	failpoint.At("part/committed")
	if err != nil {
		e.abandon(ctx, stored.pieces(), unknown)
		return meta.Part{}, err
	}
	return part, nil
}

func (e *Engine) commitPart(tx metadb.Tx, bucket, key, uploadID string, part *meta.Part) error {
	up, err := getUpload(tx, bucket, key, uploadID)
	if err != nil {
		return err
	}
	was, err := record(tx, metadb.PartKey(uploadID, part.Number), metadb.UnmarshalPart)
	if err != nil {
		return err
	}
	now := e.now()
	part.Modified = now
	row, err := metadb.MarshalPart(part)
	if err != nil {
		return err
	}
	if err := tx.Set(metadb.PartKey(uploadID, part.Number), row); err != nil {
		return err
	}
	up.Revision++
	if err := setUpload(tx, &up); err != nil {
		return err
	}
	if was.Number == 0 {
		return nil
	}
	// No object has it and no reader can be at it: no grace.
	return queue(tx, now, metadb.Garbage{Kind: metadb.GarbageBlobs, Queued: now, Pieces: pieces(was.Extents)})
}

// AbortUpload ends an upload; its parts are removed by the garbage worker.
func (e *Engine) AbortUpload(ctx context.Context, bucket, key, uploadID string) error {
	err := checkName(bucket, key)
	if err == nil {
		_, err = e.update(metadb.Upkeep(ctx), func(tx metadb.Tx) error {
			if _, err := getUpload(tx, bucket, key, uploadID); err != nil {
				return err
			}
			return e.endUpload(tx, metadb.UploadKey(bucket, key, uploadID), uploadID, "", e.now())
		})
		failpoint.At("abort/committed")
	}
	if err != nil {
		return fault("abort upload", bucket, key, err)
	}
	e.garbage.wake()
	return nil
}

// endUpload removes the row of an upload and queues its parts, but for those of
// the manifest keep (empty: none). They were never part of an object, so they
// need no grace.
func (e *Engine) endUpload(tx metadb.Tx, row []byte, uploadID, keep string, now time.Time) error {
	if err := tx.Delete(row); err != nil {
		return err
	}
	return queue(tx, now, metadb.Garbage{Kind: metadb.GarbageUpload, Queued: now, UploadID: uploadID, Manifest: keep})
}

// uploadSet is the uploads that are being completed at the moment.
type uploadSet struct {
	mu  sync.Mutex
	ids map[string]int
}

func newUploadSet() *uploadSet { return &uploadSet{ids: make(map[string]int)} }

// enter adds an upload until leave is called.
func (u *uploadSet) enter(id string) (leave func()) {
	u.add(id, 1)
	return func() { u.add(id, -1) }
}

func (u *uploadSet) add(id string, by int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	count(u.ids, id, by)
}

func (u *uploadSet) has(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ids[id] > 0
}
