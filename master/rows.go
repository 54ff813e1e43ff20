package master

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// The steps that the operations' transactions are made of.

// needBucket refuses when there is no such bucket.
func needBucket(tx metadb.Tx, bucket string) error {
	_, err := tx.Get(metadb.BucketKey(bucket))
	if errors.Is(err, metadb.ErrNotFound) {
		return refuse(meta.KindNoSuchBucket)
	}
	return err
}

// current returns the current version of an object, delete markers included;
// nil when there is none.
func current(tx metadb.Tx, bucket, key string) (*meta.Object, error) {
	b, err := tx.Get(metadb.ObjectKey(bucket, key))
	if errors.Is(err, metadb.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o, err := metadb.UnmarshalObject(b)
	if err != nil {
		return nil, fmt.Errorf("object record: %w", err)
	}
	o.Bucket, o.Key = bucket, key
	return &o, nil
}

// live is o, or nil where o is a delete marker: what conditions and counters
// see.
func live(o *meta.Object) *meta.Object {
	if o != nil && o.DeleteMarker {
		return nil
	}
	return o
}

// addUsage moves a bucket's counters from one version of a key to another,
// either of which may be nil.
func addUsage(tx metadb.Tx, bucket string, was, is *meta.Object) error {
	var by meta.Usage
	if is = live(is); is != nil {
		by.Objects++
		by.Bytes += is.Size
	}
	if was = live(was); was != nil {
		by.Objects--
		by.Bytes -= was.Size
	}
	return changeUsage(tx, bucket, by)
}

func changeUsage(tx metadb.Tx, bucket string, by meta.Usage) error {
	if by == (meta.Usage{}) {
		return nil
	}
	u, err := record(tx, metadb.UsageKey(bucket), metadb.UnmarshalUsage)
	if err != nil {
		return fmt.Errorf("bucket counters: %w", err)
	}
	row, err := metadb.MarshalUsage(meta.Usage{Objects: u.Objects + by.Objects, Bytes: u.Bytes + by.Bytes})
	if err != nil {
		return err
	}
	return tx.Set(metadb.UsageKey(bucket), row)
}

// queue adds one entry to the garbage queue.
func queue(tx metadb.Tx, due time.Time, g metadb.Garbage) error {
	row, err := metadb.MarshalGarbage(&g)
	if err != nil {
		return err
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails, by its contract
	return tx.Set(metadb.GarbageKey(due, random), row)
}

// retire queues what an object holds. The blobs of several objects without
// parts can share an entry: those are returned instead.
func (e *Engine) retire(tx metadb.Tx, o *meta.Object, now time.Time) ([]meta.Piece, error) {
	if o == nil {
		return nil, nil
	}
	if o.Manifest != "" {
		return nil, queue(tx, now.Add(e.grace), metadb.Garbage{
			Kind: metadb.GarbageManifest, Queued: now, UploadID: o.UploadID, Manifest: o.Manifest,
		})
	}
	return pieces(o.Extents), nil
}

// retireBlobs queues pieces that readers may be at, if there are any.
func (e *Engine) retireBlobs(tx metadb.Tx, p []meta.Piece, now time.Time) error {
	if len(p) == 0 {
		return nil
	}
	return queue(tx, now.Add(e.grace), metadb.Garbage{Kind: metadb.GarbageBlobs, Queued: now, Pieces: p})
}

func pieces(extents []meta.Extent) []meta.Piece {
	var all []meta.Piece
	for _, x := range extents {
		all = append(all, x.Pieces...)
	}
	return all
}

// replace writes the next version of a key over was (nil: there is none), moves
// the counters and queues what was replaced.
func (e *Engine) replace(tx metadb.Tx, was, next *meta.Object, now time.Time) error {
	row, err := metadb.MarshalObject(next)
	if err != nil {
		return err
	}
	if err := tx.Set(metadb.ObjectKey(next.Bucket, next.Key), row); err != nil {
		return err
	}
	if err := addUsage(tx, next.Bucket, was, next); err != nil {
		return err
	}
	blobs, err := e.retire(tx, was, now)
	if err != nil {
		return err
	}
	return e.retireBlobs(tx, blobs, now)
}

// stamp is the time of a version that replaces was: now, and in any case after
// the version before it, so that the times of a key's versions order them.
func stamp(was *meta.Object, now time.Time) time.Time {
	if was != nil && !now.After(was.Modified) {
		return was.Modified.Add(time.Millisecond)
	}
	return now
}

// guard checks, before a body is read, what its commit will check again: a
// request that is bound to fail should fail early.
func (e *Engine) guard(ctx context.Context, bucket, key string, p meta.Precondition) error {
	return e.view(ctx, func(tx metadb.Tx) error {
		if err := needBucket(tx, bucket); err != nil {
			return err
		}
		if p == (meta.Precondition{}) {
			return nil
		}
		cur, err := current(tx, bucket, key)
		if err != nil {
			return err
		}
		return p.Check(live(cur))
	})
}
