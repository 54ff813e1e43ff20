package master

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// The steps that the operations' transactions are made of.

// needBucket refuses when there is no such bucket.
func needBucket(tx metadb.Tx, bucket string) error {
	_, err := bucketRow(tx, metadb.BucketKey(bucket))
	return err
}

// bucketRow returns what is at the key of a bucket; KindNoSuchBucket when there is
// nothing.
func bucketRow(tx metadb.Tx, key []byte) ([]byte, error) {
	row, err := tx.Get(key)
	if errors.Is(err, metadb.ErrNotFound) {
		return nil, refuse(meta.KindNoSuchBucket)
	}
	return row, err
}

// getBucket returns a bucket's record; KindNoSuchBucket when there is none.
func getBucket(tx metadb.Tx, bucket string) (meta.Bucket, error) {
	row, err := bucketRow(tx, metadb.BucketKey(bucket))
	if err != nil {
		return meta.Bucket{}, err
	}
	b, err := metadb.UnmarshalBucket(row)
	b.Name = bucket
	return b, err
}

// current returns the current version of an object, delete markers included;
// nil when there is none.
func current(tx metadb.Tx, bucket, key string) (*metadb.ObjectRow, error) {
	return getVersion(tx, metadb.ObjectKey(bucket, key), bucket, key)
}

// getVersion returns the version whose row is at a place; nil when there is
// none.
func getVersion(tx metadb.Tx, row []byte, bucket, key string) (*metadb.ObjectRow, error) {
	b, err := tx.Get(row)
	if errors.Is(err, metadb.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return unmarshalVersion(b, bucket, key)
}

func unmarshalVersion(row []byte, bucket, key string) (*metadb.ObjectRow, error) {
	o, err := metadb.UnmarshalObject(row)
	if err != nil {
		return nil, fmt.Errorf("object record: %w", err)
	}
	o.Bucket, o.Key = bucket, key
	return &o, nil
}

// findVersion returns the version of an id among those of a key, cur itself
// where it is the current one; nil where there is none. It costs one read at
// most, however many versions there are.
func findVersion(tx metadb.Tx, cur *metadb.ObjectRow, versionID string) (*metadb.ObjectRow, error) {
	id := versionID
	if id == meta.NullVersion {
		id = "" // as records have it
	}
	switch {
	case cur == nil:
		return nil, nil
	case cur.VersionID == id:
		return cur, nil
	}
	seq := cur.NullSeq
	if id != "" {
		var ok bool
		if seq, ok = parseID(id); !ok || seq >= cur.Seq {
			return nil, nil
		}
	} else if !cur.HasNull {
		return nil, nil
	}
	o, err := getVersion(tx, metadb.VersionKey(cur.Bucket, cur.Key, seq), cur.Bucket, cur.Key)
	if err != nil || o == nil || o.VersionID != id {
		return nil, err
	}
	return o, nil
}

// shownID is a version's id as callers see it.
func shownID(b meta.Bucket, recorded string) string {
	if recorded == "" && b.Versioning != meta.Unversioned {
		return meta.NullVersion
	}
	return recorded
}

// live is o, or nil where it is a delete marker: what conditions see.
func live(o *metadb.ObjectRow) *meta.Object {
	if o == nil || o.DeleteMarker {
		return nil
	}
	return &o.Object
}

// changeUsage moves a bucket's counters.
func changeUsage(tx metadb.Tx, bucket string, by meta.Usage) error {
	if by == (meta.Usage{}) {
		return nil
	}
	u, err := record(tx, metadb.UsageKey(bucket), metadb.UnmarshalUsage)
	if err != nil {
		return fmt.Errorf("bucket counters: %w", err)
	}
	row, err := metadb.MarshalUsage(meta.Usage{
		Objects:         u.Objects + by.Objects,
		Bytes:           u.Bytes + by.Bytes,
		Noncurrent:      u.Noncurrent + by.Noncurrent,
		NoncurrentBytes: u.NoncurrentBytes + by.NoncurrentBytes,
		DeleteMarkers:   u.DeleteMarkers + by.DeleteMarkers,
	})
	if err != nil {
		return err
	}
	return tx.Set(metadb.UsageKey(bucket), row)
}

// queue adds one entry to the garbage queue.
func queue(tx metadb.Tx, due time.Time, g metadb.Garbage) error {
	_, err := queueKey(tx, due, g)
	return err
}

// queueUnlessEmpty is queue for an entry that names pieces, if there are any.
func queueUnlessEmpty(tx metadb.Tx, due time.Time, g metadb.Garbage) error {
	if len(g.Pieces) == 0 {
		return nil
	}
	return queue(tx, due, g)
}

// queueKey adds one entry to the garbage queue and returns its key.
func queueKey(tx metadb.Tx, due time.Time, g metadb.Garbage) ([]byte, error) {
	row, err := metadb.MarshalGarbage(&g)
	if err != nil {
		return nil, err
	}
	key := metadb.GarbageKey(due, random8())
	return key, tx.Set(key, row)
}

// queueRepair adds one entry to the repair queue.
func queueRepair(tx metadb.Tx, due time.Time, r metadb.Repair) error {
	row, err := metadb.MarshalRepair(&r)
	if err != nil {
		return err
	}
	return tx.Set(metadb.RepairKey(due, random8()), row)
}

func random8() [8]byte {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails, by its contract
	return random
}

// retireBlobs queues pieces that readers may be at, if there are any.
func (e *Engine) retireBlobs(tx metadb.Tx, p []meta.Piece, now time.Time) error {
	return queueUnlessEmpty(tx, now.Add(e.grace), metadb.Garbage{Kind: metadb.GarbageBlobs, Queued: now, Pieces: p})
}

// lateWrite is how long a volume may be at a write that nobody waits for any more.
const lateWrite = 10 * time.Minute

// retireLate queues pieces that are part of nothing and that their volumes may yet
// be at: were they collected before, they would come to be there for ever.
func (e *Engine) retireLate(tx metadb.Tx, p []meta.Piece, now time.Time) error {
	return queueUnlessEmpty(tx, now.Add(max(e.grace, lateWrite)), metadb.Garbage{Kind: metadb.GarbageBlobs, Queued: now, Pieces: p})
}

// pieces returns the pieces of extents, but for missing ones.
func pieces(extents []meta.Extent) []meta.Piece { return slices.Collect(eachPiece(extents)) }

// eachPiece gives the same one by one.
func eachPiece(extents []meta.Extent) iter.Seq[meta.Piece] {
	return func(yield func(meta.Piece) bool) {
		for i := range extents {
			for _, p := range extents[i].Pieces {
				if !p.Missing() && !yield(p) {
					return
				}
			}
		}
	}
}

// stamp is the time of a version that replaces was: now, and in any case after
// the version before it, so that the times of a key's versions order them.
func stamp(was *metadb.ObjectRow, now time.Time) time.Time {
	if was != nil && !now.After(was.Modified) {
		return was.Modified.Add(time.Millisecond)
	}
	return now
}

// guard checks, before a body is read, what its commit will check again: a
// request that is bound to fail should fail early.
func (e *Engine) guard(ctx context.Context, bucket, key string, p meta.Precondition, l meta.Lock) (b meta.Bucket, err error) {
	err = e.view(ctx, func(tx metadb.Tx) error {
		b, err = getBucket(tx, bucket)
		if err != nil {
			return err
		}
		if err := lockable(b, l); err != nil {
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
	return b, err
}
