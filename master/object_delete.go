package master

import (
	"context"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// deleteBatch bounds the items that one transaction looks at; what it can write
// bounds it too.
const deleteBatch = metadb.MaxTxOps

// DeleteObjects deletes several objects of one bucket, in order and in shared
// commits. The results are in the order of items; an item's failure is in its
// Err, and a commit that fails is in the Err of its items and of all behind
// them. The error is for the request as a whole: KindNoSuchBucket, or a first
// commit that failed.
func (e *Engine) DeleteObjects(ctx context.Context, bucket string, items []meta.DeleteItem) ([]meta.DeleteResult, error) {
	const op = "delete objects"
	if err := checkBucket(bucket); err != nil {
		return nil, fault(op, bucket, "", err)
	}
	if _, err := e.guard(ctx, bucket, "", meta.Precondition{}, meta.Lock{}); err != nil {
		return nil, fault(op, bucket, "", err)
	}
	results := make([]meta.DeleteResult, len(items))
	for done := 0; done < len(items); {
		n, err := e.deleteSome(ctx, bucket, items[done:], results[done:])
		if err != nil && done == 0 {
			return nil, fault(op, bucket, "", err)
		}
		if err != nil {
			n = len(items) - done
			for i := done; i < len(items); i++ {
				results[i] = meta.DeleteResult{Err: err}
			}
		}
		for i := done; i < done+n; i++ {
			results[i].Err = fault("delete object", bucket, items[i].Key, results[i].Err)
		}
		done += n
	}
	return results, nil
}

// deleteSome deletes as many of items, from the first on, as one transaction
// can, and returns how many those are: one at least.
func (e *Engine) deleteSome(ctx context.Context, bucket string, items []meta.DeleteItem, results []meta.DeleteResult) (done int, err error) {
	failpoint.At("delete/begun")
	_, err = e.edit(metadb.Upkeep(ctx), bucket, func(x *edit) error {
		done = 0
		for _, item := range items[:min(len(items), deleteBatch)] {
			if !x.room() {
				break
			}
			r, err := x.deleteItem(item)
			if err != nil && meta.KindOf(err) == meta.KindInternal {
				return err // of the store, not of the item
			}
			r.Err = err
			results[done] = r
			done++
		}
		return nil
	})
	failpoint.At("delete/committed")
	if done < len(items) {
		failpoint.At("delete/between")
	}
	return done, err
}

// deleteItem does one delete. A refusal comes before it has written anything.
func (x *edit) deleteItem(item meta.DeleteItem) (meta.DeleteResult, error) {
	none := meta.DeleteResult{VersionID: item.VersionID}
	if err := checkName(x.bucket.Name, item.Key); err != nil {
		return none, err
	}
	was, err := current(x.tx, x.bucket.Name, item.Key)
	if err != nil {
		return none, err
	}
	if item.VersionID == "" {
		if err := checkDelete(item, was); err != nil {
			return none, err
		}
		return x.deleteCurrent(item.Key, was)
	}
	gone, err := findVersion(x.tx, was, item.VersionID)
	if err != nil {
		return none, err
	}
	if err := checkDelete(item, gone); err != nil || gone == nil {
		return none, err
	}
	by := noBypass
	if item.BypassGovernance {
		by = bypassGovernance
	}
	return meta.DeleteResult{VersionID: item.VersionID, DeleteMarker: gone.DeleteMarker}, x.remove(was, gone, by)
}

// checkDelete applies an item's conditions to what it would delete; nil: nothing.
// A version that is gone does not come back under its id: whatever its deletion
// was to depend on, it has taken place. That does not hold of the null version.
func checkDelete(item meta.DeleteItem, o *metadb.ObjectRow) error {
	switch {
	case o != nil:
		return item.Check(&o.Object)
	case item.VersionID == "" || item.VersionID == meta.NullVersion:
		return item.Check(nil)
	}
	return nil
}

// deleteCurrent hides a key behind a delete marker where the bucket is
// versioned, also when there is no such key, and removes it otherwise. Source:
// AWS "Deleting object versions from a versioning-enabled bucket", "... from
// versioning-suspended buckets".
func (x *edit) deleteCurrent(key string, was *metadb.ObjectRow) (meta.DeleteResult, error) {
	if x.bucket.Versioning == meta.Unversioned {
		if was == nil {
			return meta.DeleteResult{}, nil
		}
		return meta.DeleteResult{}, x.remove(was, was, noBypass)
	}
	marker := meta.Object{
		Bucket: x.bucket.Name, Key: key, Owner: x.bucket.Owner, DeleteMarker: true, Modified: stamp(was, x.now),
	}
	if _, err := x.put(was, &marker); err != nil {
		return meta.DeleteResult{}, err
	}
	failpoint.At("delete/marked")
	return meta.DeleteResult{VersionID: shownID(x.bucket, marker.VersionID), DeleteMarker: true}, nil
}
