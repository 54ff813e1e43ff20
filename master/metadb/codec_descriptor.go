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
	at := e.open(6)
	e.object(&o)
	e.close(at)
	e.code(7, x.Code)
	e.int(8, int64(x.Shard))
	return e.record("blob descriptor")
}

// CheckDescriptor fails as MarshalDescriptor does. What is far from the limit, as almost
// all is, costs no encoding.
func CheckDescriptor(x *Descriptor) error {
	if x.atMost() <= meta.MaxRecordPayload {
		return nil
	}
	_, err := MarshalDescriptor(x)
	return err
}

// atMost is more than the length of the encoded descriptor, in bytes.
func (x *Descriptor) atMost() int {
	const (
		fixed = 1 << 10 // numbers, and tag and length of each text
		entry = 32      // the same of an entry of a map
	)
	o := &x.Object
	n := fixed
	for _, s := range [...]string{
		x.Bucket, x.Key, x.VersionID, x.UploadID,
		o.ETag, o.Checksum.Algorithm, o.Checksum.Type, o.Checksum.Value, o.Owner, o.VersionID, o.UploadID, o.Manifest,
		o.Headers.StorageClass, o.Headers.ContentType, o.Headers.CacheControl, o.Headers.ContentDisposition,
		o.Headers.ContentEncoding, o.Headers.ContentLanguage, o.Headers.Expires, o.Headers.WebsiteRedirect,
		string(o.Lock.Retention.Mode), string(o.Lock.LegalHold),
	} {
		n += len(s)
	}
	for _, m := range [...]map[string]string{o.UserMeta, o.Tags} {
		for name, value := range m {
			n += entry + len(name) + len(value)
		}
	}
	return n
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
