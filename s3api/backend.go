package s3api

import (
	"context"
	"io"

	"tdkvs/master/meta"
)

// Errors of a backend carry a meta.Kind. A payload's own error comes back
// wrapped, so that errors.As still finds it.

// Buckets is what the bucket operations need of the engine.
type Buckets interface {
	// CreateBucket fails with KindBucketExists when the name is taken.
	CreateBucket(ctx context.Context, b meta.Bucket) error
	Bucket(ctx context.Context, name string) (meta.Bucket, error)
	// DeleteBucket fails with KindBucketNotEmpty while an object is in it.
	// Uploads in progress are aborted.
	DeleteBucket(ctx context.Context, name string) error
	ListBuckets(ctx context.Context, req meta.BucketsRequest) (meta.BucketsPage, error)

	// SetBucketVersioning enables or suspends versioning. KindInvalidBucketState
	// for a suspension while the bucket has object lock.
	SetBucketVersioning(ctx context.Context, bucket string, v meta.Versioning) error
	// SetBucketLock turns object lock on, or changes its default retention.
	// KindInvalidBucketState unless versioning is enabled, or when it would turn
	// object lock off.
	SetBucketLock(ctx context.Context, bucket string, l meta.BucketLock) error
	// BucketConfig returns a bucket's configuration document of a kind such as
	// "cors"; nil when it has none.
	BucketConfig(ctx context.Context, bucket, kind string) ([]byte, error)
	// SetBucketConfig replaces a document of up to meta.MaxRecordPayload bytes;
	// nil removes it.
	SetBucketConfig(ctx context.Context, bucket, kind string, doc []byte) error
}

// Objects is what the object operations need of the engine.
type Objects interface {
	// PutObject stores payload durably, then commits the new version in one
	// step. The conditions are checked in the commit. KindNoObjectLock when the
	// request asks for a lock in a bucket without object lock.
	PutObject(ctx context.Context, req meta.PutRequest, payload meta.Payload) (meta.Object, error)
	// Object returns one version's record; the current one when versionID is
	// empty. A delete marker is KindDeleteMarker, with the record in the error's
	// Marker.
	Object(ctx context.Context, bucket, key, versionID string) (meta.Object, error)
	// OpenObject returns one version for reading, with the errors of Object.
	// Close must be called.
	OpenObject(ctx context.Context, bucket, key, versionID string) (ObjectReader, error)
	// ObjectParts returns up to limit parts of an assembled object with part
	// numbers above after, in order; nothing for an object written in one piece.
	ObjectParts(ctx context.Context, obj meta.Object, after, limit int) ([]meta.Part, error)
	// DeleteObjects deletes several objects of one bucket, in shared commits.
	// The results are in the order of items; an item's failure is in its Err.
	// The error is for the request as a whole (no such bucket).
	DeleteObjects(ctx context.Context, bucket string, items []meta.DeleteItem) ([]meta.DeleteResult, error)
	ListObjects(ctx context.Context, req meta.ListRequest) (meta.ListPage, error)
	// ListVersions fails with KindNoSuchVersion when the version id marker is
	// none that a version can have.
	ListVersions(ctx context.Context, req meta.VersionsRequest) (meta.VersionsPage, error)

	// The following change one version in place, the current one where versionID
	// is empty, and return it. A delete marker is KindDeleteMarker.

	// SetObjectTags replaces the tags.
	SetObjectTags(ctx context.Context, bucket, key, versionID string, tags map[string]string) (meta.Object, error)
	// SetObjectRetention replaces the retention; the zero value removes it.
	// KindNoObjectLock unless the bucket has object lock. KindObjectLocked where
	// that would weaken a COMPLIANCE retention still running, or, without
	// bypass, a GOVERNANCE one.
	SetObjectRetention(ctx context.Context, bucket, key, versionID string, r meta.Retention, bypass bool) (meta.Object, error)
	// SetObjectLegalHold sets a legal hold on or off. KindNoObjectLock unless the
	// bucket has object lock.
	SetObjectLegalHold(ctx context.Context, bucket, key, versionID string, hold meta.LegalHold) (meta.Object, error)
}

// ObjectReader reads one version of an object, which stays whole while it is
// open whatever happens to the key meanwhile.
type ObjectReader = interface {
	Object() meta.Object
	// Range opens length bytes from offset; both must lie within the object.
	// The reader verifies what it returns and implements io.WriterTo.
	Range(ctx context.Context, offset, length int64) (io.ReadCloser, error)
	Close() error
}

// Uploads is what the multipart operations need of the engine.
type Uploads interface {
	// CreateUpload fills in UploadID and Initiated.
	CreateUpload(ctx context.Context, up meta.Upload) (meta.Upload, error)
	Upload(ctx context.Context, bucket, key, uploadID string) (meta.Upload, error)
	// PutPart stores one part; a part of the same number is replaced.
	PutPart(ctx context.Context, bucket, key, uploadID string, number int, size int64, payload meta.Payload) (meta.Part, error)
	// UploadParts returns up to limit parts with numbers above after, and the
	// upload as of the same moment. Limit 0 means all.
	UploadParts(ctx context.Context, bucket, key, uploadID string, after, limit int) (meta.Upload, []meta.Part, error)
	// CompleteUpload makes the upload an object in one step.
	CompleteUpload(ctx context.Context, req meta.CompleteRequest) (meta.Object, error)
	// CompletedUpload returns the object that a completed upload made, for a
	// day after its completion, so that completing twice can give the same
	// answer. KindNoSuchUpload otherwise.
	CompletedUpload(ctx context.Context, bucket, key, uploadID string) (meta.Object, error)
	AbortUpload(ctx context.Context, bucket, key, uploadID string) error
	// ListUploads fails with KindNoSuchUpload for a marker that can not be one.
	ListUploads(ctx context.Context, req meta.UploadsRequest) (meta.UploadsPage, error)
}

// Backend is the whole of what the protocol needs.
type Backend interface {
	Buckets
	Objects
	Uploads
}
