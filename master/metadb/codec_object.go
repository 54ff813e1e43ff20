package metadb

import "tdkvs/master/meta"

// Object, as a .proto listing. Bucket and key are in the row's key. What a
// listing shows comes first, so that it need not read the rest.
//
//	message Object {
//	  uint64 size               = 1;
//	  int64  modified_ms        = 2;  // Unix milliseconds
//	  bytes  etag               = 3;
//	  bytes  checksum_algorithm = 4;
//	  bytes  checksum_type      = 5;
//	  bytes  storage_class      = 6;
//	  bytes  owner              = 7;
//	  bool   delete_marker      = 8;
//	  bytes  version_id         = 9;  // the last field of a listing
//	  bytes  checksum_value     = 10;
//	  bytes  content_type       = 11;
//	  bytes  cache_control      = 12;
//	  bytes  content_disposition = 13;
//	  bytes  content_encoding   = 14;
//	  bytes  content_language   = 15;
//	  bytes  expires            = 16;
//	  bytes  website_redirect   = 17;
//	  map<bytes, bytes> user_meta = 18;
//	  map<bytes, bytes> tags    = 19;
//	  repeated Extent extents   = 20;
//	  bytes  upload_id          = 21;
//	  bytes  manifest           = 22;
//	  uint32 parts              = 23;
//	}
//	message Extent { uint64 size = 1; repeated Piece pieces = 2; }
//	message Piece  { uint32 volume = 1; bytes blob = 2; }  // blob: 16 bytes
//	message map_entry { bytes name = 1; bytes value = 2; }

// lastListingField is the last field that a listing needs.
const lastListingField = 9

// MarshalObject encodes an object's record. KindMetadataTooLarge when it is
// longer than meta.MaxRecordPayload.
func MarshalObject(o *meta.Object) ([]byte, error) {
	e := newRecord(256)
	e.object(o)
	return e.record("object")
}

// UnmarshalObject decodes a record; the caller knows bucket and key from where
// it stood.
func UnmarshalObject(b []byte) (meta.Object, error) {
	var o meta.Object
	d := openRecord(b)
	d.object(&o)
	return o, d.err
}

// UnmarshalListing decodes only what a listing shows: size, time, ETag,
// checksum algorithm and type, storage class, owner, version id and whether it
// is a delete marker.
func UnmarshalListing(b []byte) (meta.Object, error) {
	var o meta.Object
	d := openRecord(b)
	for d.next() && d.num <= lastListingField {
		d.listingField(&o)
	}
	return o, d.err
}

func (e *encoder) object(o *meta.Object) {
	e.int(1, o.Size)
	e.time(2, o.Modified)
	e.str(3, o.ETag)
	e.str(4, o.Checksum.Algorithm)
	e.str(5, o.Checksum.Type)
	e.str(6, o.Headers.StorageClass)
	e.str(7, o.Owner)
	e.bool(8, o.DeleteMarker)
	e.str(9, o.VersionID)
	e.str(10, o.Checksum.Value)
	e.headers(11, &o.Headers)
	e.strings(18, o.UserMeta)
	e.strings(19, o.Tags)
	e.extents(20, o.Extents)
	e.str(21, o.UploadID)
	e.str(22, o.Manifest)
	e.int(23, int64(o.Parts))
}

func (d *decoder) object(o *meta.Object) {
	for d.next() {
		switch d.num {
		case 1, 2, 3, 4, 5, 6, 7, 8, 9:
			d.listingField(o)
		case 10:
			o.Checksum.Value = d.str()
		case 11, 12, 13, 14, 15, 16, 17:
			d.header(int(d.num)-11, &o.Headers)
		case 18:
			o.UserMeta = d.entry(o.UserMeta)
		case 19:
			o.Tags = d.entry(o.Tags)
		case 20:
			o.Extents = append(o.Extents, d.extent())
		case 21:
			o.UploadID = d.str()
		case 22:
			o.Manifest = d.str()
		case 23:
			o.Parts = int(d.uintMax(meta.MaxParts))
		}
	}
}

func (d *decoder) listingField(o *meta.Object) {
	switch d.num {
	case 1:
		o.Size = d.size()
	case 2:
		o.Modified = d.time()
	case 3:
		o.ETag = d.str()
	case 4:
		o.Checksum.Algorithm = d.str()
	case 5:
		o.Checksum.Type = d.str()
	case 6:
		o.Headers.StorageClass = d.str()
	case 7:
		o.Owner = d.str()
	case 8:
		o.DeleteMarker = d.bool()
	case 9:
		o.VersionID = d.str()
	}
}
