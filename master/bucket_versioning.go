package master

import (
	"context"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// SetBucketVersioning enables or suspends versioning, for the writes that commit
// from then on. KindInvalidBucketState for a suspension while the bucket has
// object lock, and for any other state: it can not be made undone.
func (e *Engine) SetBucketVersioning(ctx context.Context, bucket string, v meta.Versioning) error {
	return fault("set bucket versioning", bucket, "", e.changeBucket(ctx, bucket, func(b *meta.Bucket) error {
		if v != meta.VersioningEnabled && (v != meta.VersioningSuspended || b.Lock.Enabled) {
			return refuse(meta.KindInvalidBucketState)
		}
		b.Versioning = v
		return nil
	}))
}

// SetBucketLock turns object lock on, or changes its default retention, which
// holds for the versions written from then on. KindInvalidBucketState unless
// versioning is enabled, or when it would turn object lock off.
func (e *Engine) SetBucketLock(ctx context.Context, bucket string, l meta.BucketLock) error {
	return fault("set bucket object lock", bucket, "", e.changeBucket(ctx, bucket, func(b *meta.Bucket) error {
		if !l.Enabled || b.Versioning != meta.VersioningEnabled {
			return refuse(meta.KindInvalidBucketState)
		}
		b.Lock = l
		return nil
	}))
}

// changeBucket changes a bucket's record.
func (e *Engine) changeBucket(ctx context.Context, bucket string, change func(*meta.Bucket) error) error {
	if err := checkBucket(bucket); err != nil {
		return err
	}
	_, err := e.update(ctx, func(tx metadb.Tx) error { return editBucket(tx, bucket, change) })
	failpoint.At("bucket/changed")
	return err
}

// editBucket changes a bucket's record in a transaction.
func editBucket(tx metadb.Tx, bucket string, change func(*meta.Bucket) error) error {
	b, err := getBucket(tx, bucket)
	if err != nil {
		return err
	}
	if err := change(&b); err != nil {
		return err
	}
	row, err := metadb.MarshalBucket(b)
	if err != nil {
		return err
	}
	return tx.Set(metadb.BucketKey(bucket), row)
}
