package metadb

import "tdkvs/master/meta"

// ObjectRow is the record of one version of an object: what it is, and where it
// stands among the versions of its key.
type ObjectRow struct {
	meta.Object
	// Seq orders the versions of a key and rises with each. It is 0 for the one
	// that was written before its bucket was versioned, and otherwise the first
	// 8 bytes of the version id, where there is one.
	Seq uint64
	// HasNull says that the null version of the key is noncurrent, at NullSeq.
	// Both count in the row of the current version only: the null version is
	// found, and replaced, without a search.
	HasNull bool
	NullSeq uint64
}

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
//	  Lock   lock               = 24;
//	  uint64 seq                = 25;  // rows only
//	  bool   has_null           = 26;  // rows of current versions only
//	  uint64 null_seq           = 27;  //   "
//	}
//	message Lock   { bytes mode = 1; int64 until_ms = 2; bytes legal_hold = 3; }
//	message Extent { uint64 size = 1; repeated Piece pieces = 2; Code code = 3; }
//	message Piece  { uint32 volume = 1; bytes blob = 2; }  // blob: 16 bytes; both left out: a missing shard
//	message Code   { uint32 data = 1; uint32 parity = 2; } // left out: each piece is a whole copy
//	message map_entry { bytes name = 1; bytes value = 2; }

// lastListingField is the last field that a listing needs.
const lastListingField = 9

// objectAttributes is the first of the fields of an object's attributes.
const objectAttributes = 11

// The numbers of the fields that rows alone have.
const (
	fieldSeq     = 25
	fieldHasNull = 26
	fieldNullSeq = 27
)

// MarshalObject encodes a version's record. KindMetadataTooLarge when it is
// longer than meta.MaxRecordPayload.
func MarshalObject(o *ObjectRow) ([]byte, error) {
	e := newRecord(256)
	e.object(&o.Object)
	if _, err := e.record("object"); err != nil {
		return nil, err
	}
	// Where it stands changes with its neighbours: no limit may be in the way.
	e.uint(fieldSeq, o.Seq)
	e.bool(fieldHasNull, o.HasNull)
	e.uint(fieldNullSeq, o.NullSeq)
	return e.b, nil
}

// UnmarshalObject decodes a record; the caller knows bucket and key from where
// it stood.
func UnmarshalObject(b []byte) (ObjectRow, error) {
	var o ObjectRow
	d := openText(b)
	for d.next() {
		switch d.num {
		case fieldSeq:
			o.Seq = d.uint()
		case fieldHasNull:
			o.HasNull = d.bool()
		case fieldNullSeq:
			o.NullSeq = d.uint()
		default:
			d.objectField(&o.Object)
		}
	}
	return o, d.err
}

// UnmarshalListing decodes only what a listing of versions shows: size, time, ETag,
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
	e.attributes(objectAttributes, &o.Attributes)
	e.extents(20, o.Extents)
	e.str(21, o.UploadID)
	e.str(22, o.Manifest)
	e.int(23, int64(o.Parts))
	e.lock(24, o.Lock)
}

// object reads the fields of an object that stands within another record.
func (d *decoder) object(o *meta.Object) {
	for d.next() {
		d.objectField(o)
	}
}

func (d *decoder) objectField(o *meta.Object) {
	switch {
	case d.num <= lastListingField:
		d.listingField(o)
	case d.attribute(objectAttributes, &o.Attributes):
	case d.num == 10:
		o.Checksum.Value = d.str()
	case d.num == 20:
		o.Extents = append(o.Extents, d.extent())
	case d.num == 21:
		o.UploadID = d.str()
	case d.num == 22:
		o.Manifest = d.str()
	case d.num == 23:
		o.Parts = int(d.uintMax(meta.MaxParts))
	case d.num == 24:
		o.Lock = d.lock()
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
