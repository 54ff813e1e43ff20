package metadb

import (
	"math"

	"tdkvs/master/meta"
)

// Bucket and its counters, as a .proto listing. The name is in the row's key.
//
//	message Bucket { int64 created_ms = 1; bytes owner = 2; bytes region = 3; }
//	message Usage  { int64 objects = 1; int64 bytes = 2; }

// MarshalBucket encodes a bucket's record.
func MarshalBucket(b meta.Bucket) ([]byte, error) {
	e := newRecord(128)
	e.time(1, b.Created)
	e.str(2, b.Owner)
	e.str(3, b.Region)
	return e.record("bucket")
}

// UnmarshalBucket decodes a bucket's record; the caller sets its name.
func UnmarshalBucket(b []byte) (meta.Bucket, error) {
	var r meta.Bucket
	d := openRecord(b)
	for d.next() {
		switch d.num {
		case 1:
			r.Created = d.time()
		case 2:
			r.Owner = d.str()
		case 3:
			r.Region = d.str()
		}
	}
	return r, d.err
}

// MarshalUsage encodes a bucket's counters.
func MarshalUsage(u meta.Usage) ([]byte, error) {
	e := newRecord(24)
	e.int(1, u.Objects)
	e.int(2, u.Bytes)
	return e.record("usage")
}

// UnmarshalUsage decodes a bucket's counters.
func UnmarshalUsage(b []byte) (meta.Usage, error) {
	var u meta.Usage
	d := openRecord(b)
	for d.next() {
		switch d.num {
		case 1:
			u.Objects = int64(d.uintMax(math.MaxInt64))
		case 2:
			u.Bytes = int64(d.uintMax(math.MaxInt64))
		}
	}
	return u, d.err
}
