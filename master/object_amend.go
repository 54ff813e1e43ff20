package master

import (
	"context"
	"maps"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
)

// amend changes one version in place, the current one where versionID is empty,
// and returns it. Neither its time nor its ETag nor its version id change. The
// errors are those of Object, and before them that of allowed; then what change
// returns.
func (e *Engine) amend(ctx context.Context, bucket, key, versionID string,
	allowed func(meta.Bucket) error, change func(*edit, *meta.Object) error,
) (meta.Object, error) {
	if err := checkName(bucket, key); err != nil {
		return meta.Object{}, err
	}
	var amended meta.Object
	_, err := e.edit(ctx, bucket, func(x *edit) error {
		if err := allowed(x.bucket); err != nil {
			return err
		}
		cur, err := current(x.tx, bucket, key)
		o := cur
		if err == nil && versionID != "" {
			o, err = findVersion(x.tx, cur, versionID)
		}
		if err != nil {
			return err
		}
		if err := readable(x.bucket, o, versionID); err != nil {
			return err
		}
		if err := change(x, &o.Object); err != nil {
			return err
		}
		amended = o.Object
		amended.VersionID = shownID(x.bucket, o.VersionID)
		if o == cur {
			return x.setCurrent(o)
		}
		return x.setNoncurrent(o)
	})
	failpoint.At("amend/committed")
	return amended, err
}

// SetObjectTags replaces the tags of a version.
func (e *Engine) SetObjectTags(ctx context.Context, bucket, key, versionID string, tags map[string]string) (meta.Object, error) {
	anyBucket := func(meta.Bucket) error { return nil }
	o, err := e.amend(ctx, bucket, key, versionID, anyBucket, func(_ *edit, o *meta.Object) error {
		o.Tags = nil // what a record without tags is read as
		if len(tags) > 0 {
			o.Tags = maps.Clone(tags)
		}
		return nil
	})
	if err != nil {
		return meta.Object{}, fault("set object tags", bucket, key, err)
	}
	return o, nil
}
