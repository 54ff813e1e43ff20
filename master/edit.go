package master

import (
	"context"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// edit is one transaction that changes versions in a bucket. It gathers what
// they have in common, the movement of the counters and the blobs given up, and
// writes that once, at the end.
//
// What holds of a key before and after each of its methods: the `o` row is its
// current version, a delete marker included, and the `v` rows are the others;
// there is no `v` row without an `o` row; the current Seq is above all others;
// HasNull and NullSeq of the `o` row tell of a null version among the others.
type edit struct {
	engine *Engine
	tx     metadb.Tx
	bucket meta.Bucket
	clock  time.Time // in nanoseconds, for ranks
	now    time.Time // the same in milliseconds, for records

	ops   int // writes so far
	bytes int // of keys and values written so far
	usage meta.Usage
	blobs []meta.Piece
}

// edit commits what fn does to the versions of a bucket; KindNoSuchBucket where
// there is none. The state of versioning that fn sees is that at the commit.
func (e *Engine) edit(ctx context.Context, bucket string, fn func(*edit) error) (unknown bool, err error) {
	return e.update(ctx, func(tx metadb.Tx) error {
		b, err := getBucket(tx, bucket)
		if err != nil {
			return err
		}
		at := e.clock()
		x := &edit{engine: e, tx: tx, bucket: b, clock: at, now: at.UTC().Truncate(time.Millisecond)}
		if err := fn(x); err != nil {
			return err
		}
		if err := e.retireBlobs(tx, x.blobs, x.now); err != nil {
			return err
		}
		failpoint.At("edit/written")
		return changeUsage(tx, bucket, x.usage)
	})
}

// The most that one delete can write: four rows, of them two with a record (a
// version moves, another takes its place). The rest of the reserve is for the
// counters and the list of blobs.
const (
	editOps     = 4 + 2
	editReserve = 256 << 10
)

// room reports that the transaction can take another delete.
func (x *edit) room() bool {
	return x.ops+editOps <= metadb.MaxTxOps && x.bytes+editReserve <= metadb.MaxTxBytes
}

// set writes a row.
func (x *edit) set(key []byte, o *metadb.ObjectRow) error {
	row, err := metadb.MarshalObject(o)
	if err != nil {
		return err
	}
	x.ops++
	x.bytes += len(key) + len(row)
	return x.tx.Set(key, row)
}

func (x *edit) setCurrent(o *metadb.ObjectRow) error {
	return x.set(metadb.ObjectKey(x.bucket.Name, o.Key), o)
}

func (x *edit) setNoncurrent(o *metadb.ObjectRow) error {
	return x.set(metadb.VersionKey(x.bucket.Name, o.Key, o.Seq), o)
}

func (x *edit) delete(key []byte) error {
	x.ops++
	x.bytes += len(key)
	return x.tx.Delete(key)
}

func (x *edit) deleteNoncurrent(o *metadb.ObjectRow) error {
	return x.delete(metadb.VersionKey(x.bucket.Name, o.Key, o.Seq))
}

// retire gives up what a version holds.
func (x *edit) retire(o *metadb.ObjectRow) error {
	if o.Manifest == "" {
		x.blobs = append(x.blobs, pieces(o.Extents)...)
		return nil
	}
	x.ops++
	return queue(x.tx, x.now.Add(x.engine.grace), metadb.Garbage{
		Kind: metadb.GarbageManifest, Queued: x.now, UploadID: o.UploadID, Manifest: o.Manifest,
	})
}

// place is where a version stands among those of its key.
type place bool

const (
	isCurrent    place = true
	isNoncurrent place = false
)

// count moves the counters by one version that comes (by 1) or goes (by -1).
func (x *edit) count(o *metadb.ObjectRow, at place, by int64) { countVersion(&x.usage, o, at, by) }

func countVersion(u *meta.Usage, o *metadb.ObjectRow, at place, by int64) {
	switch {
	case o.DeleteMarker:
		u.DeleteMarkers += by
	case at == isCurrent:
		u.Objects += by
		u.Bytes += by * o.Size
	default:
		u.Noncurrent += by
		u.NoncurrentBytes += by * o.Size
	}
}
