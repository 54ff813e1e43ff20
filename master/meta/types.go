package meta

import "time"

// Limits of the data model, from AWS "Amazon S3 multipart upload limits" and
// "Creating object key names".
const (
	MaxKeyLen        = 1024     // bytes of UTF-8
	MaxObjectSize    = 50 << 40 // bytes, an assembled multipart object
	MaxPutSize       = 5 << 30  // bytes, one PutObject or UploadPart body
	MaxParts         = 10000    // part numbers run from 1 to MaxParts
	MinPartSize      = 5 << 20  // bytes, every part but the last
	MaxUserMetadata  = 2 << 10  // bytes, names and values together
	MaxRecordPayload = 60 << 10 // bytes, the encoded metadata of one record
	MaxReplicas      = 8        // copies of an extent
)

// Versioning is whether a bucket keeps the versions that writes replace. Once
// enabled it can only be suspended: the versions that there are stay.
type Versioning string

// The states, as S3 writes them. Source: AWS PutBucketVersioning.
const (
	Unversioned         Versioning = ""
	VersioningEnabled   Versioning = "Enabled"
	VersioningSuspended Versioning = "Suspended"
)

// NullVersion names the version of a key that was written while its bucket was
// unversioned or suspended; a key has at most one. Source: AWS "How S3
// Versioning works".
const NullVersion = "null"

// LockMode is how firmly a retention holds.
type LockMode string

// The modes. Nobody shortens or ends a COMPLIANCE retention; a GOVERNANCE one
// ends for those who may bypass it and say so. Source: AWS "Locking objects with
// Object Lock".
const (
	Governance LockMode = "GOVERNANCE"
	Compliance LockMode = "COMPLIANCE"
)

// LegalHold is a lock without an end. It is empty where it was never set.
type LegalHold string

// The states of a legal hold, as S3 writes them.
const (
	LegalHoldOn  LegalHold = "ON"
	LegalHoldOff LegalHold = "OFF"
)

// Retention keeps a version from being deleted until a time. The zero value is
// none.
type Retention struct {
	Mode  LockMode
	Until time.Time
}

// Lock is what keeps a version from being deleted.
type Lock struct {
	Retention Retention
	LegalHold LegalHold
}

// BucketLock is a bucket's object lock. Enabled can not be taken back. Mode is
// empty where new versions get no retention by default; otherwise exactly one of
// Days and Years is above zero.
type BucketLock struct {
	Enabled bool
	Mode    LockMode
	Days    int
	Years   int
}

// Bucket is one bucket's record.
type Bucket struct {
	Name       string
	Created    time.Time
	Owner      string // canonical user id
	Region     string
	Versioning Versioning
	Lock       BucketLock
	Replicas   int // copies of what is in it; 0: as many as the store keeps by default
}

// Usage counts what a bucket holds, exactly, as of the last commit.
type Usage struct {
	Objects         int64 // current versions that are not delete markers
	Bytes           int64 // the sum of their sizes
	Noncurrent      int64 // versions behind a newer one or a delete marker, markers left out
	NoncurrentBytes int64 // the sum of their sizes
	DeleteMarkers   int64 // current and noncurrent
}

// VolumeID numbers a volume in the topology. Numbers are handed out once, from
// 1, and never reused, so a recorded piece can not come to mean another volume.
type VolumeID uint32

// BlobID names a blob on a volume. It is chosen by the engine at random and
// never reused.
type BlobID [16]byte

// Piece is one stored copy, or one erasure-coded shard, of an extent.
type Piece struct {
	Volume VolumeID // 0: the shard is missing
	Blob   BlobID
}

// Missing reports that the piece is the empty place of a shard.
func (p Piece) Missing() bool { return p.Volume == 0 }

// Code is an erasure code: Data shards that hold the bytes and Parity more, any
// Data of which give all of them back. The zero value is none.
type Code struct {
	Data   int
	Parity int
}

// Shards is the number of shards.
func (c Code) Shards() int { return c.Data + c.Parity }

// Extent is a run of an object's bytes: a whole body or one part. Without a Code
// each piece is a whole copy. With one, Pieces[i] is shard i, and there are
// Code.Shards() of them, missing ones included. It keeps its code for ever: what
// repair and rebalance change is where pieces lie, and how many copies there are.
type Extent struct {
	Size   int64
	Pieces []Piece
	Code   Code
}

// Checksum is an additional checksum as S3 defines it ("Checking object
// integrity"). The zero value means none.
type Checksum struct {
	Algorithm string // a name as S3 writes it, such as CRC32
	Type      string // FULL_OBJECT or COMPOSITE
	Value     string // base64, with "-N" appended for COMPOSITE
}

// Headers are the system headers stored with an object and sent back with it.
// An empty string means the header was not given.
type Headers struct {
	ContentType        string
	CacheControl       string
	ContentDisposition string
	ContentEncoding    string
	ContentLanguage    string
	Expires            string // as sent: S3 does not normalise it
	WebsiteRedirect    string
	StorageClass       string // empty means STANDARD
}

// Attributes are what the writer of an object says of it, as opposed to what
// the store computes.
type Attributes struct {
	Headers  Headers
	UserMeta map[string]string // names in lower case, without "x-amz-meta-"
	Tags     map[string]string
	Lock     Lock // without a retention, the bucket's default one applies
}

// Digests are what the store computes over a body.
type Digests struct {
	ETag     string // without quotes: MD5 in hex, with "-N" for multipart
	Checksum Checksum
}

// Object is one version of an object: its record without its bytes.
type Object struct {
	Bucket    string
	Key       string
	VersionID string // empty in a bucket that never was versioned; else an id or NullVersion
	Modified  time.Time
	Size      int64
	Digests
	Attributes
	DeleteMarker bool
	Owner        string

	// Extents hold the body of an object written in one piece. An object
	// assembled from parts has none here: UploadID and Manifest lead to them.
	Extents  []Extent
	UploadID string // the upload that made it, when it was multipart
	Manifest string // names the manifest rows of that upload
	Parts    int    // number of parts; 0 for an object written in one piece
}

// Upload is a multipart upload in progress.
type Upload struct {
	Bucket    string
	Key       string
	UploadID  string
	Initiated time.Time
	Owner     string
	Attributes
	ChecksumAlgorithm string // empty when the client asked for none
	ChecksumType      string
	Revision          uint64 // rises with every part stored
}

// Part is one uploaded part, or one part of an assembled object.
type Part struct {
	Number   int
	Size     int64
	Modified time.Time
	Digests
	Extents []Extent
	Offset  int64 // first byte in the assembled object; 0 in an upload
}

// Precondition guards a write against the version it would replace. The zero
// value is no condition. ETags are without quotes; "*" matches any version.
type Precondition struct {
	IfMatch     string
	IfNoneMatch string
	IfModTime   time.Time // x-amz-if-match-last-modified-time, whole seconds
	IfSize      *int64    // x-amz-if-match-size
}

// Check applies the condition to the current version; cur is nil when there is
// none. A failure is KindPreconditionFailed, except where there is nothing to
// compare, which is KindNoSuchKey as AWS answers it ("Conditional writes"). A
// delete marker is nothing to an ETag condition; it has a time, and size 0.
func (p Precondition) Check(cur *Object) error {
	object := cur != nil && !cur.DeleteMarker
	switch {
	case p.IfNoneMatch != "" && object && (p.IfNoneMatch == "*" || p.IfNoneMatch == cur.ETag):
		return &Error{Kind: KindPreconditionFailed, Op: "check If-None-Match", Message: "If-None-Match"}
	case p == (Precondition{IfNoneMatch: p.IfNoneMatch}):
		return nil
	case cur == nil || p.IfMatch != "" && !object:
		return &Error{Kind: KindNoSuchKey, Op: "check If-Match"}
	case p.IfMatch != "" && p.IfMatch != "*" && p.IfMatch != cur.ETag:
		return &Error{Kind: KindPreconditionFailed, Op: "check If-Match", Message: "If-Match"}
	case !p.IfModTime.IsZero() && !p.IfModTime.Equal(cur.Modified.Truncate(time.Second)):
		return &Error{Kind: KindPreconditionFailed, Op: "check last modified", Message: "x-amz-if-match-last-modified-time"}
	case p.IfSize != nil && *p.IfSize != cur.Size:
		return &Error{Kind: KindPreconditionFailed, Op: "check size", Message: "x-amz-if-match-size"}
	}
	return nil
}
