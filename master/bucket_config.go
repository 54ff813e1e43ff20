package master

import (
	"bytes"
	"context"
	"errors"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// BucketConfig returns a bucket's configuration document of a kind, such as
// "cors"; nil when it has none. What is in it is the caller's business.
func (e *Engine) BucketConfig(ctx context.Context, bucket, kind string) ([]byte, error) {
	var doc []byte
	err := checkBucket(bucket)
	if err == nil {
		err = e.view(ctx, func(tx metadb.Tx) error {
			row, err := tx.Get(metadb.ConfigKey(bucket, kind))
			if errors.Is(err, metadb.ErrNotFound) {
				doc = nil
				return needBucket(tx, bucket)
			}
			doc = bytes.Clone(row)
			return err
		})
	}
	if err != nil {
		return nil, fault("get bucket "+kind, bucket, "", err)
	}
	return doc, nil
}

// SetBucketConfig replaces a configuration document of up to
// meta.MaxRecordPayload bytes; nil removes it, also when there is none.
// KindMetadataTooLarge when it is longer.
func (e *Engine) SetBucketConfig(ctx context.Context, bucket, kind string, doc []byte) error {
	err := checkBucket(bucket)
	if err == nil && len(doc) > meta.MaxRecordPayload {
		err = refuse(meta.KindMetadataTooLarge)
	}
	if err == nil {
		_, err = e.update(ctx, func(tx metadb.Tx) error {
			if err := needBucket(tx, bucket); err != nil {
				return err
			}
			if doc == nil {
				return tx.Delete(metadb.ConfigKey(bucket, kind))
			}
			return tx.Set(metadb.ConfigKey(bucket, kind), doc)
		})
		failpoint.At("bucket/configured")
	}
	return fault("set bucket "+kind, bucket, "", err)
}
