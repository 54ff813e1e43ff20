package s3api

import (
	"context"
	"slices"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api/conditional"
	"tdkvs/s3api/s3err"
)

// maxDeletes is how many objects one DeleteObjects may name.
const maxDeletes = 1000

// deleteObject serves DeleteObject.
func (h *handler) deleteObject(ctx context.Context, r *Request) (*Response, error) {
	version, err := r.versionID()
	if err != nil {
		return nil, err
	}
	condition, err := r.deletePrecondition()
	if err != nil {
		return nil, err
	}
	if err := h.authorizeCondition(ctx, r, condition, r.Key, version); err != nil {
		return nil, err
	}
	var bypass bool
	if version != "" { // a delete marker breaks no lock
		if bypass, err = h.bypassGovernance(ctx, r, r.Key, version); err != nil {
			return nil, err
		}
	}
	results, err := h.cfg.Backend.DeleteObjects(ctx, r.Bucket, []meta.DeleteItem{{
		Key: r.Key, VersionID: version, Precondition: condition, BypassGovernance: bypass,
	}})
	if err != nil {
		return nil, err
	}
	result := results[0]
	if err := result.Err; err != nil && !goneAlready(err, condition) {
		return nil, conflict(err, condition)
	}
	resp := new(Response)
	resp.setOptional(versionHeader, result.VersionID)
	if result.DeleteMarker {
		resp.set(deleteMarkerHeader, "true")
	}
	return resp, nil
}

// authorizeCondition asks for the permission to learn whether an object has an
// ETag, which the outcome of a delete tells. Source: AWS "How to perform
// conditional deletes".
func (h *handler) authorizeCondition(ctx context.Context, r *Request, p meta.Precondition, key, version string) error {
	if p.IfMatch == "" || p.IfMatch == "*" {
		return nil
	}
	return h.authorize(ctx, r, Access{Permission: readPermission(version), Bucket: r.Bucket, Key: key, VersionID: version})
}

// goneAlready reports whether a delete failed for want of the key only, which is
// what it was to bring about. Not so under If-Match: whoever names an ETag, or
// "*", must not be told that a delete of theirs took place. Source: AWS
// DeleteObject on size and time; AWS is seen to answer If-Match with NoSuchKey.
func goneAlready(err error, p meta.Precondition) bool {
	return isKind(err, meta.KindNoSuchKey) && p.IfMatch == ""
}

// deletion is one object of a DeleteObjects document, and what became of it.
type deletion struct {
	item    meta.DeleteItem
	version string // as the client wrote it
	result  meta.DeleteResult
}

// deleteObjects serves DeleteObjects.
func (h *handler) deleteObjects(ctx context.Context, r *Request) (*Response, error) {
	quiet, deletions, err := h.readDelete(r)
	if err != nil {
		return nil, err
	}
	var items []meta.DeleteItem
	var of []int // items[i] belongs to deletions[of[i]]
	for i := range deletions {
		d := &deletions[i]
		if d.result.Err == nil {
			d.result.Err = h.authorizeDeletion(ctx, r, d)
		}
		if d.result.Err == nil {
			items = append(items, d.item)
			of = append(of, i)
		}
	}
	// Also without an item: the bucket must exist.
	results, err := h.cfg.Backend.DeleteObjects(ctx, r.Bucket, items)
	if err != nil {
		return nil, err
	}
	for i, res := range results {
		if goneAlready(res.Err, items[i].Precondition) {
			res.Err = nil
		}
		deletions[of[i]].result = res
	}
	return &Response{doc: h.deleteResult(r, quiet, deletions)}, nil
}

// authorizeDeletion asks for the permission to delete one key or version, to do
// so by its ETag, and to end its retention where the request wants that.
func (h *handler) authorizeDeletion(ctx context.Context, r *Request, d *deletion) error {
	permission := r.op.permission
	if d.version != "" {
		permission = r.op.versionPermission
	}
	err := h.authorize(ctx, r, Access{Permission: permission, Bucket: r.Bucket, Key: d.item.Key, VersionID: d.version})
	if err == nil {
		err = h.authorizeCondition(ctx, r, d.item.Precondition, d.item.Key, d.version)
	}
	if err != nil || d.version == "" { // a delete marker breaks no lock
		return err
	}
	d.item.BypassGovernance, err = h.bypassGovernance(ctx, r, d.item.Key, d.version)
	return err
}

// readDelete decodes the body of DeleteObjects.
func (h *handler) readDelete(r *Request) (quiet bool, deletions []deletion, err error) {
	empty, err := h.readXML(r, digestRequired, "Delete", func(x *reader) error {
		return x.children(func(name string) error {
			var err error
			switch name {
			case "Quiet":
				quiet, err = x.bool()
			case "Object":
				var d deletion
				if d, err = readDeletion(x); err == nil {
					deletions = append(deletions, d)
				}
				if len(deletions) > maxDeletes {
					return malformed(nil)
				}
			default:
				return unexpected(name)
			}
			return err
		})
	})
	switch {
	case err != nil:
		return false, nil, err
	case empty:
		return false, nil, s3err.Of(s3err.MissingRequestBodyError)
	case len(deletions) == 0:
		return false, nil, malformed(nil)
	}
	return quiet, onceEach(deletions), nil
}

// onceEach leaves out what stands in a document a second time. AWS is seen to do
// the same: else a key named twice would get two delete markers.
func onceEach(deletions []deletion) []deletion {
	type name struct{ key, version string }
	seen := make(map[name]bool, len(deletions))
	return slices.DeleteFunc(deletions, func(d deletion) bool {
		if hasCondition(d.item.Precondition) {
			return false
		}
		n := name{d.item.Key, d.version}
		twice := seen[n]
		seen[n] = true
		return twice
	})
}

// readDeletion decodes one Object element.
func readDeletion(x *reader) (deletion, error) {
	var d deletion
	err := x.children(func(name string) error {
		var err error
		switch name {
		case "Key":
			d.item.Key, err = x.text()
		case "VersionId":
			d.version, err = x.text()
		case "ETag":
			d.item.IfMatch, err = x.text()
			d.item.IfMatch = conditional.Named(d.item.IfMatch)
		case "LastModifiedTime":
			d.item.IfModTime, err = x.time()
			d.item.IfModTime = d.item.IfModTime.Truncate(time.Second)
		case "Size":
			var size int64
			size, err = x.int()
			d.item.IfSize = &size
		default:
			return unexpected(name)
		}
		return err
	})
	if err != nil {
		return d, err
	}
	if d.item.Key == "" {
		return d, malformed(nil)
	}
	if d.result.Err = checkKey(d.item.Key); d.result.Err == nil && d.version != "" {
		if d.item.VersionID, err = parseVersionID(d.version, "VersionId"); err != nil {
			d.result.Err = s3err.Of(s3err.NoSuchVersion)
		}
	}
	return d, nil
}

// deleteResult writes the answer of DeleteObjects.
func (h *handler) deleteResult(r *Request, quiet bool, deletions []deletion) *document {
	doc := h.page()
	doc.root("DeleteResult")
	for _, d := range deletions {
		if err := d.result.Err; err != nil {
			e := classify(err, r)
			if e.Status >= 500 {
				h.cfg.Logger.Error("delete failed", "request_id", r.id, "bucket", r.Bucket, "key", d.item.Key, "error", err)
			}
			doc.open("Error")
			doc.text("Key", d.item.Key)
			doc.optional("VersionId", d.version)
			doc.text("Code", e.Code)
			doc.text("Message", e.Message)
			doc.close("Error")
			continue
		}
		if quiet {
			continue
		}
		doc.open("Deleted")
		doc.text("Key", d.item.Key)
		doc.optional("VersionId", d.version)
		if d.result.DeleteMarker {
			doc.bool("DeleteMarker", true)
			doc.text("DeleteMarkerVersionId", d.result.VersionID)
		}
		doc.close("Deleted")
	}
	doc.close("DeleteResult")
	return doc
}
