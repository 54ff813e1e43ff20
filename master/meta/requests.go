package meta

import (
	"io"
	"time"
)

// Payload is a request body that knows its digests once it has been read to
// io.EOF. Read returns a non-EOF error when the body is short, cut, or fails a
// check the client asked for; nothing is then stored. Digests may be called
// only after io.EOF.
type Payload interface {
	io.Reader
	Digests() Digests
}

// PutRequest describes one object to write.
type PutRequest struct {
	Bucket string
	Key    string
	Owner  string
	Size   int64 // of the body, -1 when it is not known beforehand
	Attributes
	Precondition
	Modified time.Time // zero: the time of commit
}

// ListRequest asks for one page of a bucket's current objects.
type ListRequest struct {
	Bucket    string
	Prefix    string
	Delimiter string
	// After is exclusive: the page begins with the first key or common prefix
	// above it. So a common prefix that After is, or lies in, is passed with all
	// keys below it.
	After string
	Limit int // entries (objects and common prefixes together), 0 to 1000
}

// Listed is an object as a listing of current versions shows it.
type Listed struct {
	Key               string
	Modified          time.Time
	Size              int64
	ETag              string // as in Digests
	ChecksumAlgorithm string // as in Checksum; empty: none
	ChecksumType      string
	StorageClass      string // as in Headers
	Owner             string
}

// ListPage is a page in key order.
type ListPage struct {
	Objects   []Listed
	Prefixes  []string
	Truncated bool
	Next      string // the last key or common prefix of the page, when truncated
}

// VersionsRequest asks for one page of a bucket's versions and delete markers,
// by key and then newest first.
type VersionsRequest struct {
	Bucket    string
	Prefix    string
	Delimiter string
	// KeyMarker is exclusive, as ListRequest.After is, unless VersionIDMarker is
	// set: the page then goes on behind that version of KeyMarker, which need not
	// be there any more. Where the null version that it names is gone, the key's
	// versions begin anew: some may be seen twice, none is missed.
	KeyMarker       string
	VersionIDMarker string // counts only with KeyMarker
	Limit           int    // versions and common prefixes together, 0 to 1000
}

// Version is one entry of a listing of versions.
type Version struct {
	Object
	Latest bool // the current version of its key
}

// VersionsPage is a page of versions, in order.
type VersionsPage struct {
	Versions            []Version
	Prefixes            []string
	Truncated           bool
	NextKeyMarker       string // the last key or common prefix of the page, when truncated
	NextVersionIDMarker string // NullVersion for the null version; empty behind a common prefix
}

// UploadsRequest asks for one page of a bucket's uploads in progress, ordered
// by key, then by time of initiation.
type UploadsRequest struct {
	Bucket         string
	Prefix         string
	Delimiter      string
	KeyMarker      string
	UploadIDMarker string // counts only with KeyMarker
	Limit          int
}

// UploadsPage is a page of uploads.
type UploadsPage struct {
	Uploads            []Upload
	Prefixes           []string
	Truncated          bool
	NextKeyMarker      string
	NextUploadIDMarker string
}

// BucketsRequest asks for one page of buckets in name order.
type BucketsRequest struct {
	Prefix string
	After  string // exclusive
	Limit  int
}

// BucketsPage is a page of buckets.
type BucketsPage struct {
	Buckets   []Bucket
	Truncated bool
}

// DeleteItem is one object of a multi-object delete.
type DeleteItem struct {
	Key string
	// VersionID, where set, is removed for good. Without it the current version
	// gives way: to a delete marker in a versioned bucket, to nothing otherwise.
	VersionID string
	Precondition
	BypassGovernance bool // the caller may, and wants to, end GOVERNANCE retentions
}

// DeleteResult says what a delete did. Err is nil for a key or version that was
// not there.
type DeleteResult struct {
	// VersionID is the version that was removed (the one asked for, also when it
	// was not there), or the delete marker that was made; empty in a bucket that
	// never was versioned.
	VersionID    string
	DeleteMarker bool // VersionID is a delete marker: one removed, or one made
	Err          error
}

// CompleteRequest switches an upload to an object. Parts are those chosen by
// the client, in order, as read together with Revision; the commit fails with
// KindConflict when a part was stored since.
type CompleteRequest struct {
	Upload  Upload // as read; its Revision guards the commit
	Parts   []Part
	Digests Digests
	Precondition
}
