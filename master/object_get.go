package master

import (
	"context"
	"errors"
	"io"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// ObjectReader reads one version of an object, which stays whole while it is
// open whatever happens to the key meanwhile. Its methods are safe for
// concurrent use, the readers that Range returns are not.
type ObjectReader = interface {
	Object() meta.Object
	// Range opens length bytes from offset; both must lie within the object.
	// The reader verifies what it returns and implements io.WriterTo.
	Range(ctx context.Context, offset, length int64) (io.ReadCloser, error)
	Close() error
}

// Object returns the record of one version; the current one when versionID is
// empty. A delete marker is KindDeleteMarker, with the record in the error's
// Marker.
func (e *Engine) Object(ctx context.Context, bucket, key, versionID string) (meta.Object, error) {
	o, err := e.lookup(ctx, bucket, key, versionID)
	if err != nil {
		return meta.Object{}, fault("get object", bucket, key, err)
	}
	return o.Object, nil
}

// OpenObject returns one version for reading. Close must be called.
func (e *Engine) OpenObject(ctx context.Context, bucket, key, versionID string) (ObjectReader, error) {
	x := &objectReader{engine: e}
	err := e.pins.acquire(&x.pin, func() (*metadb.ObjectRow, error) { return e.lookup(ctx, bucket, key, versionID) })
	if err != nil {
		return nil, fault("open object", bucket, key, err)
	}
	return x, nil
}

// readable refuses what is not there (nil), or only as a delete marker.
func readable(b meta.Bucket, o *metadb.ObjectRow, versionID string) error {
	switch {
	case o == nil && versionID != "":
		return refuse(meta.KindNoSuchVersion)
	case o == nil:
		return refuse(meta.KindNoSuchKey)
	case o.DeleteMarker:
		marker := o.Object
		marker.VersionID = shownID(b, o.VersionID)
		return &meta.Error{Kind: meta.KindDeleteMarker, Marker: &marker}
	}
	return nil
}

// ObjectParts returns up to limit parts (0: all) of an assembled object with
// numbers above after, in order; nothing for an object written in one piece.
// KindConflict when the object was replaced and collected since it was read.
func (e *Engine) ObjectParts(ctx context.Context, obj meta.Object, after, limit int) ([]meta.Part, error) {
	if obj.Manifest == "" {
		return nil, nil
	}
	var parts []meta.Part
	err := e.view(ctx, func(tx metadb.Tx) error {
		parts = nil
		index, err := manifestIndex(tx, obj.UploadID, obj.Manifest)
		if err != nil {
			return err
		}
		for chunk := index.ForPart(after + 1); chunk > 0 && int(chunk) <= len(index.Chunks); chunk++ {
			rows, err := manifestChunk(tx, obj.UploadID, obj.Manifest, chunk)
			if err != nil {
				return err
			}
			for _, p := range rows {
				if p.Number > after {
					parts = append(parts, p)
				}
				if limit > 0 && len(parts) == limit {
					return nil
				}
			}
		}
		return nil
	})
	return parts, fault("get object parts", obj.Bucket, obj.Key, err)
}

func manifestIndex(tx metadb.Tx, uploadID, manifest string) (metadb.ManifestIndex, error) {
	b, err := tx.Get(metadb.ManifestKey(uploadID, manifest, 0))
	if err != nil {
		return metadb.ManifestIndex{}, manifestGone(err)
	}
	return metadb.UnmarshalManifestIndex(b)
}

func manifestChunk(tx metadb.Tx, uploadID, manifest string, chunk uint32) ([]meta.Part, error) {
	b, err := tx.Get(metadb.ManifestKey(uploadID, manifest, chunk))
	if err != nil {
		return nil, manifestGone(err)
	}
	return metadb.UnmarshalManifestChunk(b)
}

func manifestGone(err error) error {
	if errors.Is(err, metadb.ErrNotFound) {
		return &meta.Error{Kind: meta.KindConflict, Message: "the object was replaced", Err: err}
	}
	return err
}
