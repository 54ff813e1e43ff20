package metadb

import (
	"math"

	"tdkvs/master/meta"
)

// Descriptor is what a blob carries so that the metadata can be rebuilt from the
// volumes: whose bytes these are, and the record they belong to but for its
// extents. For a part, Object holds the part's size, time and digests and the
// attributes of its upload.
//
//	message Descriptor {
//	  bytes  bucket      = 1;
//	  bytes  key         = 2;
//	  bytes  version_id  = 3;
//	  bytes  upload_id   = 4;  // parts only
//	  uint32 part_number = 5;  // parts only
//	  Object object      = 6;
//	  Code   code        = 7;  // shards only: size is that of the whole extent
//	  uint32 shard       = 8;  //   "
//	}
type Descriptor struct {
	Bucket     string
	Key        string
	VersionID  string
	UploadID   string
	PartNumber int
	Object     meta.Object
	Code       meta.Code // of a shard; zero: the blob is a whole copy
	Shard      int       // its number
}

// MarshalDescriptor encodes a descriptor; the object's extents are left out.
// KindMetadataTooLarge when the record is longer than meta.MaxRecordPayload.
func MarshalDescriptor(x *Descriptor) ([]byte, error) {
	o := x.Object
	o.Extents = nil
	e := newRecord(320)
	e.str(1, x.Bucket)
	e.str(2, x.Key)
	e.str(3, x.VersionID)
	e.str(4, x.UploadID)
	e.int(5, int64(x.PartNumber))
	e.message(6, func(sub *encoder) { sub.object(&o) })
	e.code(7, x.Code)
	e.int(8, int64(x.Shard))
	return e.record("blob descriptor")
}

// UnmarshalDescriptor decodes a descriptor. The object's bucket and key are set
// too.
func UnmarshalDescriptor(b []byte) (Descriptor, error) {
	var x Descriptor
	d := openRecord(b)
	for d.next() {
		switch d.num {
		case 1:
			x.Bucket = d.str()
		case 2:
			x.Key = d.str()
		case 3:
			x.VersionID = d.str()
		case 4:
			x.UploadID = d.str()
		case 5:
			x.PartNumber = int(d.uintMax(math.MaxUint16))
		case 6:
			sub := d.message()
			sub.object(&x.Object)
			d.end(&sub)
		case 7:
			x.Code = d.code()
		case 8:
			x.Shard = int(d.uintMax(math.MaxUint8))
		}
	}
	x.Object.Bucket, x.Object.Key = x.Bucket, x.Key
	return x, d.err
}
