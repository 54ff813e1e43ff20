package master

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// recount is what the counters of a bucket are off. Every transaction moves the
// counters by what it changes, so that stays the same until it is corrected,
// whatever clients do meanwhile: it is enough to have counted once, as of one
// moment.
type recount struct {
	bucket  string
	created time.Time // of the bucket: it is not another of the same name
	by      meta.Usage
	bytes   int64
	kept    bool // a row in it can not be read, and may be counted or not
	// unreadable is what is there instead of counters, where they can not be read: no
	// transaction that would change them can be made meanwhile.
	unreadable []byte
}

// less returns a difference of counters.
func less(a, b meta.Usage) meta.Usage {
	return meta.Usage{
		Objects: a.Objects - b.Objects, Bytes: a.Bytes - b.Bytes, Noncurrent: a.Noncurrent - b.Noncurrent,
		NoncurrentBytes: a.NoncurrentBytes - b.NoncurrentBytes, DeleteMarkers: a.DeleteMarkers - b.DeleteMarkers,
	}
}

// negative reports counters that nothing can have.
func negative(u meta.Usage) bool {
	return min(u.Objects, u.Bytes, u.Noncurrent, u.NoncurrentBytes, u.DeleteMarkers) < 0
}

// recountAll corrects counters.
func (c *check) recountAll(ctx context.Context) error {
	all := c.remedies.counts
	c.remedies.counts = nil
	for _, r := range all {
		done := false
		remedy := RemedyRecount
		if r.kept {
			remedy = RemedyNone
		} else if c.applies() {
			var err error
			if done, err = c.recount(ctx, r); err != nil {
				return fmt.Errorf("correct the counters of bucket %s: %w", r.bucket, err)
			}
			if !done {
				remedy = RemedyNone
			}
		}
		c.remedied(FindingCounters, remedy, one(r.bytes), done)
	}
	return nil
}

// recount corrects the counters of a bucket; not where it is gone, or where that
// would make no sense.
func (c *check) recount(ctx context.Context, r recount) (done bool, err error) {
	_, err = c.e.update(ctx, func(tx metadb.Tx) error {
		done = false
		b, err := getBucket(tx, r.bucket)
		if meta.KindOf(err) == meta.KindNoSuchBucket || err == nil && !b.Created.Equal(r.created) {
			return nil
		}
		if err != nil {
			return err
		}
		if r.unreadable != nil {
			done, err = r.replace(tx)
			return err
		}
		said, err := record(tx, metadb.UsageKey(r.bucket), metadb.UnmarshalUsage)
		if err != nil {
			return err
		}
		if negative(less(said, less(meta.Usage{}, r.by))) {
			return nil
		}
		done = true
		return changeUsage(tx, r.bucket, r.by)
	})
	return done, err
}

// replace writes counters where there are none that can be read.
func (r recount) replace(tx metadb.Tx) (done bool, err error) {
	row, err := tx.Get(metadb.UsageKey(r.bucket))
	if err != nil || !bytes.Equal(row, r.unreadable) {
		return false, err
	}
	if row, err = metadb.MarshalUsage(r.by); err != nil {
		return false, err
	}
	return true, tx.Set(metadb.UsageKey(r.bucket), row)
}
