package metadb

import (
	"math"

	"tdkvs/master/meta"
)

// Bucket and its counters, as a .proto listing. The name is in the row's key.
//
//	message Bucket {
//	  int64 created_ms = 1;
//	  bytes owner      = 2;
//	  bytes region     = 3;
//	  bytes versioning = 4;  // empty, "Enabled" or "Suspended"
//	  BucketLock lock  = 5;
//	  uint32 replicas  = 6;  // 0: the store's default
//	}
//	message BucketLock { bool enabled = 1; bytes mode = 2; uint32 days = 3; uint32 years = 4; }
//	message Usage {
//	  int64 objects          = 1;
//	  int64 bytes            = 2;
//	  int64 noncurrent       = 3;
//	  int64 noncurrent_bytes = 4;
//	  int64 delete_markers   = 5;
//	}

// MarshalBucket encodes a bucket's record.
func MarshalBucket(b meta.Bucket) ([]byte, error) {
	e := newRecord(128)
	e.time(1, b.Created)
	e.str(2, b.Owner)
	e.str(3, b.Region)
	e.str(4, string(b.Versioning))
	if b.Lock != (meta.BucketLock{}) {
		at := e.open(5)
		e.bool(1, b.Lock.Enabled)
		e.str(2, string(b.Lock.Mode))
		e.int(3, int64(b.Lock.Days))
		e.int(4, int64(b.Lock.Years))
		e.close(at)
	}
	e.int(6, int64(b.Replicas))
	return e.record("bucket")
}

// UnmarshalBucket decodes a bucket's record; the caller sets its name.
func UnmarshalBucket(b []byte) (meta.Bucket, error) {
	var r meta.Bucket
	d := openText(b)
	for d.next() {
		switch d.num {
		case 1:
			r.Created = d.time()
		case 2:
			r.Owner = d.str()
		case 3:
			r.Region = d.str()
		case 4:
			r.Versioning = meta.Versioning(d.str())
		case 5:
			r.Lock = d.bucketLock()
		case 6:
			r.Replicas = int(d.uintMax(meta.MaxReplicas))
		}
	}
	return r, d.err
}

// UnmarshalVersioning decodes only how a bucket is versioned.
func UnmarshalVersioning(b []byte) (meta.Versioning, error) {
	state := meta.Unversioned
	d := openRecord(b)
	for d.next() {
		if d.num == 4 {
			state = meta.Versioning(d.str())
		}
	}
	return state, d.err
}

func (d *decoder) bucketLock() meta.BucketLock {
	var l meta.BucketLock
	sub := d.message()
	for sub.next() {
		switch sub.num {
		case 1:
			l.Enabled = sub.bool()
		case 2:
			l.Mode = meta.LockMode(sub.str())
		case 3:
			l.Days = int(sub.uintMax(math.MaxInt32))
		case 4:
			l.Years = int(sub.uintMax(math.MaxInt32))
		}
	}
	d.end(&sub)
	return l
}

// MarshalUsage encodes a bucket's counters.
func MarshalUsage(u meta.Usage) ([]byte, error) {
	e := newRecord(24)
	e.int(1, u.Objects)
	e.int(2, u.Bytes)
	e.int(3, u.Noncurrent)
	e.int(4, u.NoncurrentBytes)
	e.int(5, u.DeleteMarkers)
	return e.record("usage")
}

// UnmarshalUsage decodes a bucket's counters.
func UnmarshalUsage(b []byte) (meta.Usage, error) {
	var u meta.Usage
	d := openRecord(b)
	for d.next() {
		switch d.num {
		case 1:
			u.Objects = d.size()
		case 2:
			u.Bytes = d.size()
		case 3:
			u.Noncurrent = d.size()
		case 4:
			u.NoncurrentBytes = d.size()
		case 5:
			u.DeleteMarkers = d.size()
		}
	}
	return u, d.err
}
