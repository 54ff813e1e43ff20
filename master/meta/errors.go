package meta

import (
	"errors"
	"strings"
)

// Kind classifies an error by what the caller can do about it. Front ends map
// kinds to their own codes in one table; nothing matches on error text.
type Kind uint8

// The kinds. KindInternal is the zero value: whatever was not classified is an
// internal error, logged with its cause and never shown to a client.
const (
	KindInternal Kind = iota
	KindNoSuchBucket
	KindBucketExists
	KindBucketNotEmpty
	KindInvalidBucketName
	KindNoSuchKey
	KindNoSuchVersion
	KindDeleteMarker // the version asked for is a delete marker
	KindNoSuchUpload
	KindInvalidPart
	KindInvalidKey
	KindKeyTooLong
	KindMetadataTooLarge
	KindEntityTooLarge
	KindPreconditionFailed
	KindConflict    // the state changed between read and commit: read again, retry
	KindNoSpace     // the disk reserve is reached
	KindReadOnly    // a volume or the metadata store has sealed itself
	KindCorrupt     // stored bytes failed verification
	KindUnavailable // a volume cannot be reached
	KindCanceled    // the client or the server gave up

	KindObjectLocked       // a retention or a legal hold protects the version
	KindNoObjectLock       // the bucket has no object lock
	KindInvalidBucketState // what the bucket is configured for forbids it

	KindBusy // too many requests at once: ask again later
)

var kindNames = [...]string{
	KindInternal:           "internal error",
	KindNoSuchBucket:       "no such bucket",
	KindBucketExists:       "bucket exists",
	KindBucketNotEmpty:     "bucket not empty",
	KindInvalidBucketName:  "invalid bucket name",
	KindNoSuchKey:          "no such key",
	KindNoSuchVersion:      "no such version",
	KindDeleteMarker:       "delete marker",
	KindNoSuchUpload:       "no such upload",
	KindInvalidPart:        "invalid part",
	KindInvalidKey:         "invalid key",
	KindKeyTooLong:         "key too long",
	KindMetadataTooLarge:   "metadata too large",
	KindEntityTooLarge:     "entity too large",
	KindPreconditionFailed: "precondition failed",
	KindConflict:           "conflict",
	KindNoSpace:            "no space",
	KindReadOnly:           "read-only",
	KindCorrupt:            "corrupt",
	KindUnavailable:        "unavailable",
	KindCanceled:           "canceled",
	KindObjectLocked:       "object locked",
	KindNoObjectLock:       "no object lock",
	KindInvalidBucketState: "invalid bucket state",
	KindBusy:               "busy",
}

// String returns the kind in words, for logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown kind"
}

// Error is an error with a kind, the operation that failed and its subject.
type Error struct {
	Kind    Kind
	Op      string // the engine operation, such as "put object"
	Bucket  string // empty when the error is not about a bucket
	Key     string // empty when the error is not about an object
	Message string // optional, safe to show to a client
	Err     error  // optional cause, for the log only

	// Marker is the delete marker that was found, with KindDeleteMarker.
	Marker *Object
}

// Error joins what is known: "put object photos/a.jpg: no space: cause".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Bucket != "" {
		b.WriteString(" " + e.Bucket)
		if e.Key != "" {
			b.WriteString("/" + e.Key)
		}
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(e.Kind.String())
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error of the same kind whose other fields,
// where set, are equal; errors.Is(err, &Error{Kind: k}) tests for a kind.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind &&
		(t.Op == "" || t.Op == e.Op) &&
		(t.Bucket == "" || t.Bucket == e.Bucket) &&
		(t.Key == "" || t.Key == e.Key)
}

// KindOf returns the kind of the first *Error in err's chain, and KindInternal
// where there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}
