package master

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// accounts counts what each bucket holds and compares it with its counters, as
// of one moment; and looks at the queues.
func (c *check) accounts(ctx context.Context) error {
	var b *books
	err := c.e.view(ctx, func(tx metadb.Tx) error {
		b = &books{check: c, counted: make(map[string]meta.Usage), unread: make(map[string]bool)}
		s := &scanner{ctx: ctx, e: c.e, full: func() bool { return false }, visit: func(location, []meta.Extent, int) {}}
		s.each = func(o *metadb.ObjectRow, at place) {
			u := b.counted[o.Bucket]
			countVersion(&u, o, at, 1)
			b.counted[o.Bucket] = u
			b.account(o)
		}
		s.broken = b.badRow
		if err := s.run(tx); err != nil {
			return err
		}
		c.progress.Rows = s.scanned
		c.report.Rows = s.scanned
		if err := b.compare(tx); err != nil {
			return err
		}
		return c.queues(tx, b)
	})
	if b != nil && c.repairs(FindingCounters) {
		c.remedies.counts = b.recounts
	}
	c.tell()
	return err
}

// books are what one look at all rows finds.
type books struct {
	*check
	counted  map[string]meta.Usage
	unread   map[string]bool // buckets with rows that can not be read; with "", it can not be told in which
	recounts []recount
}

// badRow notes a row that can not be read, or that leads to one.
func (b *books) badRow(key []byte, err error) {
	bucket, name, ok := metadb.ParseObjectKey(key)
	if !ok {
		bucket, name, _, ok = metadb.ParseVersionKey(key)
	}
	if !ok {
		bucket, name, _, _ = metadb.ParseUploadKey(key)
	}
	b.unread[bucket] = true
	b.foundAtOnce(Finding{Kind: FindingRecord, Bucket: bucket, Key: name, Detail: fmt.Sprintf("row %q: %v", key, err)}, RemedyNone)
}

// badEntry notes a row of another kind that can not be read.
func (b *books) badEntry(key []byte, err error) {
	b.foundAtOnce(Finding{Kind: FindingRecord, Detail: fmt.Sprintf("row %q: %v", key, err)}, RemedyNone)
}

// account compares a version with itself.
func (b *books) account(o *metadb.ObjectRow) {
	if o.Manifest != "" || o.DeleteMarker {
		return
	}
	var size int64
	for _, x := range o.Extents {
		size += x.Size
	}
	if size != o.Size {
		b.foundAtOnce(Finding{Kind: FindingRecord, Bucket: o.Bucket, Key: o.Key, VersionID: o.VersionID, Bytes: o.Size,
			Detail: fmt.Sprintf("its extents have %d bytes, the object %d", size, o.Size)}, RemedyNone)
	}
}

// compare compares what the buckets hold with what their counters say.
func (b *books) compare(tx metadb.Tx) error {
	said, broken := make(map[string]meta.Usage), make(map[string][]byte)
	r := metadb.AllUsage()
	err := tx.Scan(r.Start, r.End, func(k, row []byte) (bool, error) {
		bucket, _ := metadb.ParseUsageKey(k)
		u, err := metadb.UnmarshalUsage(row)
		said[bucket] = u
		if err != nil {
			b.badEntry(k, err)
			broken[bucket] = bytes.Clone(row)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	names := maps.Clone(said)
	maps.Copy(names, b.counted)
	for _, bucket := range slices.Sorted(maps.Keys(names)) {
		if err := b.compareBucket(tx, bucket, said[bucket], broken[bucket]); err != nil {
			return err
		}
	}
	return nil
}

// compareBucket compares the counters of a bucket, which may be unreadable.
func (b *books) compareBucket(tx metadb.Tx, bucket string, said meta.Usage, garbled []byte) error {
	n := b.counted[bucket]
	holder, err := record(tx, metadb.BucketKey(bucket), metadb.UnmarshalBucket)
	if err != nil && !unreadable(err) {
		return err
	}
	missing := needBucket(tx, bucket) != nil
	if missing {
		b.foundAtOnce(Finding{Kind: FindingRecord, Bucket: bucket, Detail: "there is something in a bucket that there is not"}, RemedyNone)
	}
	if said == n && garbled == nil {
		return nil
	}
	bytes := max(said.Bytes-n.Bytes, n.Bytes-said.Bytes)
	b.found(Finding{Kind: FindingCounters, Bucket: bucket, Bytes: bytes,
		Detail: fmt.Sprintf("the counters say %+v, the bucket holds %+v", said, n)})
	b.recounts = append(b.recounts, recount{
		bucket: bucket, created: holder.Created, by: less(n, said), bytes: bytes, unreadable: garbled,
		kept: err != nil || missing || b.unread[bucket] || b.unread[""],
	})
	return nil
}

// queues counts what waits, and notes what is recorded as lost.
func (c *check) queues(tx metadb.Tx, b *books) error {
	c.report.Garbage, c.report.Repairs = 0, 0
	for _, q := range []struct {
		rows metadb.Range
		n    *uint64
		read func(row []byte) error
	}{
		{metadb.GarbageRange(), &c.report.Garbage, func(row []byte) error { _, err := metadb.UnmarshalGarbage(row); return err }},
		{metadb.RepairRange(), &c.report.Repairs, func(row []byte) error { _, err := metadb.UnmarshalRepair(row); return err }},
	} {
		err := tx.Scan(q.rows.Start, q.rows.End, func(k, row []byte) (bool, error) {
			*q.n++
			if err := q.read(row); err != nil {
				b.badEntry(k, err)
			}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	r := metadb.AllDamage()
	return tx.Scan(r.Start, r.End, func(k, row []byte) (bool, error) {
		bucket, key, _, part, _ := metadb.ParseDamageKey(k)
		d, err := metadb.UnmarshalDamage(row)
		if err != nil {
			b.badEntry(k, err)
			return true, nil
		}
		f := Finding{Kind: FindingDamaged, Bucket: bucket, Key: key, VersionID: d.VersionID, Part: part, Bytes: d.Size, Detail: d.Cause}
		c.foundAtOnce(f, RemedyReread)
		c.remedies.queued = c.remedies.queued || c.repairs(f.Kind)
		return true, nil
	})
}
