package master

import (
	"context"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// deleteBatch is how many objects one transaction deletes: two writes for each
// at most, and the counters.
const deleteBatch = (metadb.MaxTxOps - 2) / 2

// DeleteObjects deletes several objects of one bucket, in shared commits. The
// results are in the order of items; an item's failure is in its Err, and a
// commit that fails is in the Err of all its items. The error is for the request
// as a whole: KindNoSuchBucket, or a first commit that failed.
func (e *Engine) DeleteObjects(ctx context.Context, bucket string, items []meta.DeleteItem) ([]meta.DeleteResult, error) {
	const op = "delete objects"
	if err := checkBucket(bucket); err != nil {
		return nil, fault(op, bucket, "", err)
	}
	if err := e.guard(ctx, bucket, "", meta.Precondition{}); err != nil {
		return nil, fault(op, bucket, "", err)
	}
	results := make([]meta.DeleteResult, len(items))
	for start := 0; start < len(items); start += deleteBatch {
		end := min(start+deleteBatch, len(items))
		err := e.deleteBatch(ctx, bucket, items[start:end], results[start:end])
		if err != nil && start == 0 {
			return nil, fault(op, bucket, "", err)
		}
		for i := start; i < end; i++ {
			if err != nil {
				results[i] = meta.DeleteResult{Err: err}
			}
			results[i].Err = fault("delete object", bucket, items[i].Key, results[i].Err)
		}
	}
	return results, nil
}

func (e *Engine) deleteBatch(ctx context.Context, bucket string, items []meta.DeleteItem, results []meta.DeleteResult) error {
	_, err := e.update(ctx, func(tx metadb.Tx) error {
		clear(results)
		if err := needBucket(tx, bucket); err != nil {
			return err
		}
		now := e.now()
		var by meta.Usage
		var blobs []meta.Piece
		for i, item := range items {
			gone, err := e.deleteOne(tx, bucket, item)
			if kind := meta.KindOf(err); err != nil && kind == meta.KindInternal {
				return err // of the store, not of the item
			} else if err != nil {
				results[i].Err = err
				continue
			}
			if item.VersionID != "" {
				results[i].VersionID = item.VersionID
			}
			if live(gone) != nil {
				by.Objects--
				by.Bytes -= gone.Size
			}
			p, err := e.retire(tx, gone, now)
			if err != nil {
				return err
			}
			blobs = append(blobs, p...)
		}
		if err := e.retireBlobs(tx, blobs, now); err != nil {
			return err
		}
		return changeUsage(tx, bucket, by)
	})
	return err
}

// deleteOne removes an object's row and returns what was there; nil when there
// was nothing, or not the version asked for.
func (e *Engine) deleteOne(tx metadb.Tx, bucket string, item meta.DeleteItem) (*meta.Object, error) {
	if err := checkName(bucket, item.Key); err != nil {
		return nil, err
	}
	was, err := current(tx, bucket, item.Key)
	if err != nil {
		return nil, err
	}
	if was != nil && item.VersionID != "" && !isVersion(was, item.VersionID) {
		was = nil
	}
	if err := item.Check(live(was)); err != nil {
		return nil, err
	}
	if was == nil {
		return nil, nil
	}
	return was, tx.Delete(metadb.ObjectKey(bucket, item.Key))
}
