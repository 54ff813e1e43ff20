package master

import (
	"context"
	"errors"

	"tdkvs/master/meta"
)

var errNotBuilt = errors.New("not built yet")

func (e *Engine) SetBucketVersioning(ctx context.Context, bucket string, v meta.Versioning) error {
	return errNotBuilt
}

func (e *Engine) SetBucketLock(ctx context.Context, bucket string, l meta.BucketLock) error {
	return errNotBuilt
}

func (e *Engine) ListVersions(ctx context.Context, req meta.VersionsRequest) (meta.VersionsPage, error) {
	return meta.VersionsPage{}, errNotBuilt
}

func (e *Engine) SetObjectTags(ctx context.Context, bucket, key, versionID string, tags map[string]string) (meta.Object, error) {
	return meta.Object{}, errNotBuilt
}

func (e *Engine) SetObjectRetention(ctx context.Context, bucket, key, versionID string, r meta.Retention, bypass bool) (meta.Object, error) {
	return meta.Object{}, errNotBuilt
}

func (e *Engine) SetObjectLegalHold(ctx context.Context, bucket, key, versionID string, hold meta.LegalHold) (meta.Object, error) {
	return meta.Object{}, errNotBuilt
}
