package master

import (
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
	var counters []Finding
	err := c.e.view(ctx, func(tx metadb.Tx) error {
		counted := make(map[string]meta.Usage)
		s := &scanner{ctx: ctx, e: c.e, full: func() bool { return false }, visit: func(location, []meta.Extent, int) {}}
		s.each = func(o *metadb.ObjectRow, at place) {
			u := counted[o.Bucket]
			countVersion(&u, o, at, 1)
			counted[o.Bucket] = u
			c.account(o)
		}
		s.broken = c.badRow
		if err := s.run(tx); err != nil {
			return err
		}
		c.progress.Rows = s.scanned
		c.report.Rows = s.scanned
		var err error
		if counters, err = compareCounters(tx, counted); err != nil {
			return err
		}
		return c.queues(tx)
	})
	for _, f := range counters {
		c.found(f)
	}
	c.tell()
	return err
}

// badRow notes a row that can not be read.
func (c *check) badRow(key []byte, err error) {
	c.found(Finding{Kind: FindingRecord, Detail: fmt.Sprintf("row %q: %v", key, err)})
}

// account compares a version with itself.
func (c *check) account(o *metadb.ObjectRow) {
	if o.Manifest != "" || o.DeleteMarker {
		return
	}
	var size int64
	for _, x := range o.Extents {
		size += x.Size
	}
	if size != o.Size {
		c.found(Finding{Kind: FindingRecord, Bucket: o.Bucket, Key: o.Key, VersionID: o.VersionID, Bytes: o.Size,
			Detail: fmt.Sprintf("its extents have %d bytes, the object %d", size, o.Size)})
	}
}

// compareCounters compares what the buckets hold with what their counters say.
func compareCounters(tx metadb.Tx, counted map[string]meta.Usage) ([]Finding, error) {
	said := make(map[string]meta.Usage)
	r := metadb.AllUsage()
	err := tx.Scan(r.Start, r.End, func(k, row []byte) (bool, error) {
		bucket, _ := metadb.ParseUsageKey(k)
		var err error
		said[bucket], err = metadb.UnmarshalUsage(row)
		return true, err
	})
	if err != nil {
		return nil, err
	}
	names := maps.Clone(said)
	maps.Copy(names, counted)
	var wrong []Finding
	for _, bucket := range slices.Sorted(maps.Keys(names)) {
		if err := needBucket(tx, bucket); meta.KindOf(err) == meta.KindNoSuchBucket {
			wrong = append(wrong, Finding{Kind: FindingRecord, Bucket: bucket, Detail: "there is something in a bucket that there is not"})
		} else if err != nil {
			return nil, err
		}
		if s, n := said[bucket], counted[bucket]; s != n {
			wrong = append(wrong, Finding{Kind: FindingCounters, Bucket: bucket, Bytes: max(s.Bytes-n.Bytes, n.Bytes-s.Bytes),
				Detail: fmt.Sprintf("the counters say %+v, the bucket holds %+v", s, n)})
		}
	}
	return wrong, nil
}

// queues counts what waits, and notes what is recorded as lost.
func (c *check) queues(tx metadb.Tx) error {
	c.report.Garbage, c.report.Repairs = 0, 0
	for _, q := range []struct {
		rows metadb.Range
		n    *uint64
	}{{metadb.GarbageRange(), &c.report.Garbage}, {metadb.RepairRange(), &c.report.Repairs}} {
		if err := tx.Scan(q.rows.Start, q.rows.End, func(_, _ []byte) (bool, error) { *q.n++; return true, nil }); err != nil {
			return err
		}
	}
	r := metadb.AllDamage()
	return tx.Scan(r.Start, r.End, func(k, row []byte) (bool, error) {
		bucket, key, _, part, _ := metadb.ParseDamageKey(k)
		d, err := metadb.UnmarshalDamage(row)
		if err != nil {
			c.badRow(k, err)
			return true, nil
		}
		c.found(Finding{Kind: FindingDamaged, Bucket: bucket, Key: key, VersionID: d.VersionID, Part: part, Bytes: d.Size, Detail: d.Cause})
		return true, nil
	})
}
