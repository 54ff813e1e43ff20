package s3api

import (
	"context"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// listObjectVersions serves ListObjectVersions.
func (h *handler) listObjectVersions(ctx context.Context, r *Request) (*Response, error) {
	req, err := r.versionMarkers()
	if err != nil {
		return nil, err
	}
	l, err := h.pageOf(ctx, r)
	if err != nil {
		return nil, err
	}
	req.Bucket, req.Prefix, req.Delimiter, req.Limit = r.Bucket, l.prefix, l.delimiter, l.limit
	page, err := h.cfg.Backend.ListVersions(ctx, req)
	if isKind(err, meta.KindNoSuchVersion) {
		err = invalidVersionID(versionIDMarker, req.VersionIDMarker).Wrap(err)
	}
	if err != nil {
		return nil, err
	}
	doc := h.page()
	doc.root("ListVersionsResult")
	doc.text("Name", r.Bucket)
	l.keys.text(doc, "Prefix", l.prefix)
	l.keys.text(doc, "KeyMarker", req.KeyMarker)
	doc.text("VersionIdMarker", req.VersionIDMarker)
	if page.Truncated {
		l.keys.text(doc, "NextKeyMarker", page.NextKeyMarker)
		doc.optional("NextVersionIdMarker", page.NextVersionIDMarker)
	}
	l.bounds(doc, page.Truncated)
	for i := range page.Versions {
		h.writeVersion(doc, l.keys, &page.Versions[i])
	}
	l.keys.prefixes(doc, page.Prefixes)
	doc.close("ListVersionsResult")
	return &Response{doc: doc}, nil
}

const versionIDMarker = "version-id-marker"

// versionMarkers reads where the page begins. AWS judges max-keys before the
// markers, and the markers before the rest.
func (r *Request) versionMarkers() (meta.VersionsRequest, error) {
	req := meta.VersionsRequest{KeyMarker: r.param("key-marker")}
	n, err := r.count("max-keys")
	if err != nil {
		return req, err
	}
	if id, sent := r.query[versionIDMarker]; sent {
		if _, key := r.query["key-marker"]; !key {
			return req, s3err.Argument("A version-id marker cannot be specified without a key marker.", versionIDMarker, id[0])
		}
		if id[0] == "" {
			return req, s3err.Argument("A version-id marker cannot be empty.", versionIDMarker, "")
		}
		if req.VersionIDMarker, err = parseVersionID(id[0], versionIDMarker); err != nil {
			return req, err
		}
	}
	if n < 0 {
		return req, s3err.New(s3err.InvalidArgument, "max-keys cannot be negative").With("ArgumentName", "max-keys")
	}
	return req, nil
}

// writeVersion writes one version or delete marker. In a bucket that never was
// versioned every version is the null one.
func (h *handler) writeVersion(doc *document, keys keyEncoder, v *meta.Version) {
	element := "Version"
	if v.DeleteMarker {
		element = "DeleteMarker"
	}
	id := v.VersionID
	if id == "" {
		id = meta.NullVersion
	}
	doc.open(element)
	keys.text(doc, "Key", v.Key)
	doc.text("VersionId", id)
	doc.bool("IsLatest", v.Latest)
	doc.time("LastModified", v.Modified)
	if !v.DeleteMarker {
		doc.b = appendStored(doc.b, v.ETag, v.Checksum.Algorithm, v.Checksum.Type, v.Size)
	}
	doc.owner("Owner", h.ownerOf(v.Owner))
	if !v.DeleteMarker {
		doc.text("StorageClass", storageClass(v.Headers))
	}
	doc.close(element)
}
