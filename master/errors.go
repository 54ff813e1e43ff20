package master

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// payloadError marks an error that the body of a request gave: it goes back to
// the caller as it came, without a kind of ours in front of it.
type payloadError struct{ err error }

func (p *payloadError) Error() string { return p.err.Error() }
func (p *payloadError) Unwrap() error { return p.err }

// fault gives err an operation, a subject and a kind; nil stays nil.
func fault(op, bucket, key string, err error) error {
	if err == nil {
		return nil
	}
	if p := (*payloadError)(nil); errors.As(err, &p) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s %s/%s: read body: %w", op, bucket, key, p.err)
	}
	f := &meta.Error{Kind: classify(err), Op: op, Bucket: bucket, Key: key, Err: err}
	if inner := (*meta.Error)(nil); errors.As(err, &inner) {
		f.Message, f.Marker = inner.Message, inner.Marker
		if inner.Err == nil {
			f.Err = nil // a bare kind: nothing more to say
		}
	}
	return f
}

// causes lists what the layers below can say, and what it means to a caller.
// The first match counts.
var causes = [...]struct {
	err  error
	kind meta.Kind
}{
	{context.Canceled, meta.KindCanceled},
	{context.DeadlineExceeded, meta.KindCanceled},
	{volume.ErrCorrupt, meta.KindCorrupt},
	{volume.ErrNoSpace, meta.KindNoSpace},
	{volume.ErrReadOnly, meta.KindReadOnly},
	{volume.ErrWrongVolume, meta.KindUnavailable},
	{volume.ErrUnavailable, meta.KindUnavailable},
	{volume.ErrDenied, meta.KindUnavailable},
	{volume.ErrLocked, meta.KindUnavailable},
	{metadb.ErrNoSpace, meta.KindNoSpace},
	{metadb.ErrFailed, meta.KindReadOnly},
	{metadb.ErrUncertain, meta.KindUnavailable},
	{metadb.ErrNotFollowed, meta.KindUnavailable},
	{metadb.ErrReadOnly, meta.KindReadOnly},
	{metadb.ErrClosed, meta.KindUnavailable},
	{metadb.ErrCorrupt, meta.KindCorrupt},
	{metadb.ErrBadRecord, meta.KindCorrupt},
}

func classify(err error) meta.Kind {
	if k := meta.KindOf(err); k != meta.KindInternal {
		return k
	}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			return c.kind
		}
	}
	return meta.KindInternal
}

// refuse is an error of a kind that needs no more words; fault adds operation
// and subject.
func refuse(kind meta.Kind) error { return &meta.Error{Kind: kind} }

// maxBucketLen bounds bucket names here; the front ends are stricter.
const maxBucketLen = 255

// checkBucket refuses names that can not be a component of a key. Without it a
// name with a 0x00 in it would reach into another bucket.
func checkBucket(bucket string) error {
	if bucket == "" || len(bucket) > maxBucketLen {
		return refuse(meta.KindInvalidBucketName)
	}
	for i := range len(bucket) {
		if c := bucket[i]; c <= ' ' || c == '/' || c == 0x7F {
			return refuse(meta.KindInvalidBucketName)
		}
	}
	return nil
}

// checkName refuses what can not name an object. Any bytes may.
func checkName(bucket, key string) error {
	if err := checkBucket(bucket); err != nil {
		return err
	}
	switch {
	case key == "":
		return refuse(meta.KindInvalidKey)
	case len(key) > meta.MaxKeyLen:
		return refuse(meta.KindKeyTooLong)
	}
	return nil
}

// isAny reports that an error is one of some.
func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
