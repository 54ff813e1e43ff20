package master

import (
	"context"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
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
	descriptor := metadb.Descriptor{Bucket: obj.Bucket, Key: obj.Key, Object: obj}
	if err := metadb.CheckDescriptor(&descriptor); err != nil {
		return meta.Object{}, err
	}
	describe := func(s shape) ([]byte, error) {
		d := descriptor // shards are described side by side
		d.Object.Size, d.Object.Digests, d.Code, d.Shard = s.size, s.digests, s.code, s.shard
		if d.Object.Modified.IsZero() {
			d.Object.Modified = s.read
		}
		return metadb.MarshalDescriptor(&d)
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
	failpoint.At("put/stored")
	obj, unknown, err := e.commitPut(ctx, obj, req.Precondition, stored.unsettled)
	failpoint.At("put/committed")
	if err != nil {
		e.abandon(ctx, stored.pieces(), unknown)
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
