package metadb

import (
	"math"

	"tdkvs/master/meta"
)

// A multipart upload and its parts, as a .proto listing. Bucket, key and upload
// id are in the upload row's key.
//
//	message Upload {
//	  int64  initiated_ms       = 1;
//	  bytes  owner              = 2;
//	  bytes  checksum_algorithm = 3;
//	  bytes  checksum_type      = 4;
//	  uint64 revision           = 5;
//	  bytes  storage_class      = 6;
//	  bytes  content_type       = 7;
//	  bytes  cache_control      = 8;
//	  bytes  content_disposition = 9;
//	  bytes  content_encoding   = 10;
//	  bytes  content_language   = 11;
//	  bytes  expires            = 12;
//	  bytes  website_redirect   = 13;
//	  map<bytes, bytes> user_meta = 14;
//	  map<bytes, bytes> tags    = 15;
//	  Lock   lock               = 16;
//	}
//	message Part {
//	  uint32 number             = 1;
//	  uint64 size               = 2;
//	  int64  modified_ms        = 3;
//	  bytes  etag               = 4;
//	  bytes  checksum_algorithm = 5;
//	  bytes  checksum_type      = 6;
//	  bytes  checksum_value     = 7;
//	  repeated Extent extents   = 8;
//	  uint64 offset             = 9;  // in the assembled object; manifests only
//	}

// uploadAttributes is the first of the fields of an upload's attributes.
const uploadAttributes = 7

// MarshalUpload encodes an upload's record.
func MarshalUpload(u *meta.Upload) ([]byte, error) {
	e := newRecord(256)
	e.time(1, u.Initiated)
	e.str(2, u.Owner)
	e.str(3, u.ChecksumAlgorithm)
	e.str(4, u.ChecksumType)
	e.uint(5, u.Revision)
	e.str(6, u.Headers.StorageClass)
	e.attributes(uploadAttributes, &u.Attributes)
	e.lock(16, u.Lock)
	return e.record("upload")
}

// UnmarshalUpload decodes an upload's record; the caller sets bucket, key and
// upload id.
func UnmarshalUpload(b []byte) (meta.Upload, error) {
	var u meta.Upload
	d := openRecord(b)
	for d.next() {
		if d.attribute(uploadAttributes, &u.Attributes) {
			continue
		}
		switch d.num {
		case 1:
			u.Initiated = d.time()
		case 2:
			u.Owner = d.str()
		case 3:
			u.ChecksumAlgorithm = d.str()
		case 4:
			u.ChecksumType = d.str()
		case 5:
			u.Revision = d.uint()
		case 6:
			u.Headers.StorageClass = d.str()
		case 16:
			u.Lock = d.lock()
		}
	}
	return u, d.err
}

// MarshalPart encodes a part's record.
func MarshalPart(p *meta.Part) ([]byte, error) {
	e := newRecord(192)
	e.part(p)
	return e.record("part")
}

// UnmarshalPart decodes a part's record.
func UnmarshalPart(b []byte) (meta.Part, error) {
	var p meta.Part
	d := openRecord(b)
	d.part(&p)
	return p, d.err
}

func (e *encoder) part(p *meta.Part) {
	e.int(1, int64(p.Number))
	e.int(2, p.Size)
	e.time(3, p.Modified)
	e.str(4, p.ETag)
	e.str(5, p.Checksum.Algorithm)
	e.str(6, p.Checksum.Type)
	e.str(7, p.Checksum.Value)
	e.extents(8, p.Extents)
	e.int(9, p.Offset)
}

func (d *decoder) part(p *meta.Part) {
	for d.next() {
		switch d.num {
		case 1:
			p.Number = int(d.uintMax(math.MaxUint16))
		case 2:
			p.Size = d.size()
		case 3:
			p.Modified = d.time()
		case 4:
			p.ETag = d.str()
		case 5:
			p.Checksum.Algorithm = d.str()
		case 6:
			p.Checksum.Type = d.str()
		case 7:
			p.Checksum.Value = d.str()
		case 8:
			p.Extents = append(p.Extents, d.extent())
		case 9:
			p.Offset = d.size()
		}
	}
}
