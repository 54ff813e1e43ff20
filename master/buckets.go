package master

import (
	"context"
	"errors"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// maxBucketsPage bounds a page of buckets, as AWS "ListBuckets" does.
const maxBucketsPage = 10000

// CreateBucket makes a bucket; Created is now unless set. Object lock brings
// versioning with it. KindBucketExists when the name is taken.
func (e *Engine) CreateBucket(ctx context.Context, b meta.Bucket) error {
	return fault("create bucket", b.Name, "", e.createBucket(ctx, b))
}

func (e *Engine) createBucket(ctx context.Context, b meta.Bucket) error {
	if err := checkBucket(b.Name); err != nil {
		return err
	}
	if b.Created.IsZero() {
		b.Created = e.now()
	}
	if b.Lock.Enabled {
		b.Versioning = meta.VersioningEnabled
	}
	row, err := metadb.MarshalBucket(b)
	if err != nil {
		return err
	}
	_, err = e.update(ctx, func(tx metadb.Tx) error {
		switch _, err := tx.Get(metadb.BucketKey(b.Name)); {
		case err == nil:
			return refuse(meta.KindBucketExists)
		case !errors.Is(err, metadb.ErrNotFound):
			return err
		}
		return tx.Set(metadb.BucketKey(b.Name), row)
	})
	failpoint.At("bucket/created")
	return err
}

// Bucket returns a bucket's record; KindNoSuchBucket when there is none.
func (e *Engine) Bucket(ctx context.Context, name string) (meta.Bucket, error) {
	var b meta.Bucket
	err := checkBucket(name)
	if err == nil {
		err = e.view(ctx, func(tx metadb.Tx) error {
			b, err = getBucket(tx, name)
			return err
		})
	}
	if err != nil {
		return meta.Bucket{}, fault("get bucket", name, "", err)
	}
	return b, nil
}

// ListBuckets returns a page of buckets in name order. A limit of zero means
// the most that a page can hold, 10,000.
func (e *Engine) ListBuckets(ctx context.Context, req meta.BucketsRequest) (meta.BucketsPage, error) {
	limit := req.Limit
	if limit <= 0 || limit > maxBucketsPage {
		limit = maxBucketsPage
	}
	var page meta.BucketsPage
	err := e.view(ctx, func(tx metadb.Tx) error {
		page = meta.BucketsPage{}
		r := metadb.BucketRange(req.Prefix)
		if req.After != "" {
			r.Start = later(r.Start, metadb.After(metadb.BucketKey(req.After)))
		}
		if r.Empty() {
			return nil
		}
		return tx.Scan(r.Start, r.End, func(k, v []byte) (bool, error) {
			if len(page.Buckets) == limit {
				page.Truncated = true
				return false, nil
			}
			b, err := metadb.UnmarshalBucket(v)
			if err != nil {
				return false, err
			}
			b.Name, _ = metadb.ParseBucketKey(k)
			page.Buckets = append(page.Buckets, b)
			return true, nil
		})
	})
	return page, fault("list buckets", "", "", err)
}

// Usage returns a bucket's counters, exact as of the last commit.
func (e *Engine) Usage(ctx context.Context, bucket string) (meta.Usage, error) {
	var u meta.Usage
	err := checkBucket(bucket)
	if err == nil {
		err = e.view(ctx, func(tx metadb.Tx) error {
			if err := needBucket(tx, bucket); err != nil {
				return err
			}
			u, err = record(tx, metadb.UsageKey(bucket), metadb.UnmarshalUsage)
			return err
		})
	}
	return u, fault("get usage", bucket, "", err)
}

// deleteStep is how many rows of an upload or a configuration one transaction
// of DeleteBucket removes, at two writes a row.
const deleteStep = 50

// DeleteBucket removes a bucket with its uploads in progress and its
// configuration. KindBucketNotEmpty while an object or a version is in it. The
// uploads go in bounded steps, the bucket with the last of them: a failure in
// between leaves the bucket, with fewer uploads.
func (e *Engine) DeleteBucket(ctx context.Context, name string) error {
	const op = "delete bucket"
	if err := checkBucket(name); err != nil {
		return fault(op, name, "", err)
	}
	for done := false; !done; {
		_, err := e.update(metadb.Upkeep(ctx), func(tx metadb.Tx) error {
			var err error
			done, err = e.deleteBucketStep(tx, name, e.now())
			return err
		})
		failpoint.At("bucket/deleting")
		if err != nil {
			return fault(op, name, "", err)
		}
	}
	failpoint.At("bucket/deleted")
	e.garbage.wake()
	return nil
}

func (e *Engine) deleteBucketStep(tx metadb.Tx, name string, now time.Time) (done bool, err error) {
	if err := needBucket(tx, name); err != nil {
		return false, err
	}
	for _, r := range []metadb.Range{metadb.ObjectRange(name, ""), metadb.VersionsRange(name, "")} {
		keys, err := firstKeys(tx, r, 1)
		if err != nil {
			return false, err
		}
		if len(keys) > 0 {
			return false, refuse(meta.KindBucketNotEmpty)
		}
	}
	uploads, err := firstKeys(tx, metadb.UploadsRange(name, ""), deleteStep)
	if err != nil {
		return false, err
	}
	for _, k := range uploads {
		_, _, id, _ := metadb.ParseUploadKey(k)
		if err := e.endUpload(tx, k, id, "", now); err != nil {
			return false, err
		}
	}
	if len(uploads) > 0 {
		return false, nil
	}
	configs, err := firstKeys(tx, metadb.ConfigRange(name), deleteStep)
	if err != nil {
		return false, err
	}
	doomed := configs
	if len(configs) < deleteStep {
		done = true
		doomed = append(doomed, metadb.BucketKey(name), metadb.UsageKey(name))
	}
	for _, k := range doomed {
		if err := tx.Delete(k); err != nil {
			return false, err
		}
	}
	return done, nil
}

// firstKeys returns copies of up to limit keys of a range.
func firstKeys(tx metadb.Tx, r metadb.Range, limit int) ([][]byte, error) {
	var keys [][]byte
	err := tx.Scan(r.Start, r.End, func(k, _ []byte) (bool, error) {
		keys = append(keys, append([]byte(nil), k...))
		return len(keys) < limit, nil
	})
	return keys, err
}
