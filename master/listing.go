package master

import (
	"bytes"
	"context"
	"strings"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// maxPage bounds a page of objects or uploads, as AWS "ListObjectsV2" does.
const maxPage = 1000

func pageLimit(n int) int { return max(0, min(n, maxPage)) }

// commonPrefix returns what of key is rolled up: all up to and with the first
// delimiter behind prefix. key must begin with prefix.
func commonPrefix(key, prefix, delimiter string) (string, bool) {
	if delimiter == "" {
		return "", false
	}
	i := strings.Index(key[len(prefix):], delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(prefix)+i+len(delimiter)], true
}

// isCommonPrefix reports whether a listing by prefix and delimiter would show
// marker as a common prefix.
func isCommonPrefix(marker, prefix, delimiter string) bool {
	if !strings.HasPrefix(marker, prefix) {
		return false
	}
	cp, ok := commonPrefix(marker, prefix, delimiter)
	return ok && cp == marker
}

// later returns the greater of two keys.
func later(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return b
	}
	return a
}

// ListObjects returns a page of current versions in key order. It seeks past
// each common prefix, so a page costs its entries and not the objects beneath
// them. Truncated is exact: there is at least one more entry.
func (e *Engine) ListObjects(ctx context.Context, req meta.ListRequest) (meta.ListPage, error) {
	var page meta.ListPage
	err := checkBucket(req.Bucket)
	if err == nil {
		err = e.view(ctx, func(tx metadb.Tx) error {
			page = meta.ListPage{}
			if err := needBucket(tx, req.Bucket); err != nil {
				return err
			}
			return listObjects(ctx, tx, req, &page)
		})
	}
	if err != nil {
		return meta.ListPage{}, fault("list objects", req.Bucket, "", err)
	}
	return page, nil
}

// objectsRange is where the page begins and the listing ends.
func objectsRange(req meta.ListRequest) metadb.Range {
	r := metadb.ObjectRange(req.Bucket, req.Prefix)
	switch {
	case req.After == "":
	case isCommonPrefix(req.After, req.Prefix, req.Delimiter):
		r.Start = later(r.Start, metadb.ObjectRange(req.Bucket, req.After).End)
	default:
		r.Start = later(r.Start, metadb.After(metadb.ObjectKey(req.Bucket, req.After)))
	}
	return r
}

func listObjects(ctx context.Context, tx metadb.Tx, req meta.ListRequest, page *meta.ListPage) (err error) {
	limit, r := pageLimit(req.Limit), objectsRange(req)
	if limit == 0 || r.Empty() {
		return nil
	}
	cur := tx.Seek(r.Start, r.End)
	defer closeCursor(cur, &err)
	for last := ""; cur.Valid(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, key, ok := metadb.ParseObjectKey(cur.Key())
		if !ok {
			return metadb.ErrBadRecord
		}
		row, err := cur.Value()
		if err != nil {
			return err
		}
		o, err := metadb.UnmarshalListing(row)
		if err != nil {
			return err
		}
		if o.DeleteMarker {
			cur.Next()
			continue
		}
		if len(page.Objects)+len(page.Prefixes) == limit {
			page.Truncated, page.Next = true, last
			return nil
		}
		if cp, ok := commonPrefix(key, req.Prefix, req.Delimiter); ok {
			page.Prefixes = append(page.Prefixes, cp)
			last = cp
			cur.SeekTo(metadb.ObjectRange(req.Bucket, cp).End)
			continue
		}
		o.Bucket, o.Key = req.Bucket, key
		page.Objects = append(page.Objects, o)
		last = key
		cur.Next()
	}
	return nil
}

func closeCursor(c metadb.Cursor, err *error) {
	if cerr := c.Close(); *err == nil {
		*err = cerr
	}
}

// ListUploads returns a page of the uploads in progress, by key and then by time
// of initiation, and seeks past common prefixes as ListObjects does. It fails
// with KindNoSuchUpload for an UploadIDMarker that is neither of KeyMarker nor of
// the first key behind it.
func (e *Engine) ListUploads(ctx context.Context, req meta.UploadsRequest) (meta.UploadsPage, error) {
	var page meta.UploadsPage
	err := checkBucket(req.Bucket)
	if err == nil {
		err = e.view(ctx, func(tx metadb.Tx) error {
			page = meta.UploadsPage{}
			if err := needBucket(tx, req.Bucket); err != nil {
				return err
			}
			from, err := resolveMarker(tx, req)
			if err != nil {
				return err
			}
			return listUploads(ctx, tx, from, &page)
		})
	}
	if err != nil {
		return meta.UploadsPage{}, fault("list uploads", req.Bucket, "", err)
	}
	return page, nil
}

// resolveMarker puts the key that UploadIDMarker is of into KeyMarker. An upload
// that has ended since the last page still marks its place.
func resolveMarker(tx metadb.Tx, req meta.UploadsRequest) (from meta.UploadsRequest, err error) {
	if req.KeyMarker == "" || req.UploadIDMarker == "" || isUploadIDOf(req.UploadIDMarker, req.Bucket, req.KeyMarker) {
		return req, nil
	}
	cur := tx.Seek(metadb.UploadRange(req.Bucket, req.KeyMarker).End, metadb.UploadsRange(req.Bucket, "").End)
	defer closeCursor(cur, &err)
	if cur.Valid() {
		if _, key, _, ok := metadb.ParseUploadKey(cur.Key()); ok && isUploadIDOf(req.UploadIDMarker, req.Bucket, key) {
			req.KeyMarker = key
			return req, nil
		}
	}
	return req, refuse(meta.KindNoSuchUpload)
}

func uploadsRange(req meta.UploadsRequest) metadb.Range {
	r := metadb.UploadsRange(req.Bucket, req.Prefix)
	switch {
	case req.KeyMarker == "":
	case isCommonPrefix(req.KeyMarker, req.Prefix, req.Delimiter):
		r.Start = later(r.Start, metadb.UploadsRange(req.Bucket, req.KeyMarker).End)
	case req.UploadIDMarker == "":
		r.Start = later(r.Start, metadb.UploadRange(req.Bucket, req.KeyMarker).End)
	default:
		r.Start = later(r.Start, metadb.After(metadb.UploadKey(req.Bucket, req.KeyMarker, req.UploadIDMarker)))
	}
	return r
}

func listUploads(ctx context.Context, tx metadb.Tx, req meta.UploadsRequest, page *meta.UploadsPage) (err error) {
	limit, r := pageLimit(req.Limit), uploadsRange(req)
	if limit == 0 || r.Empty() {
		return nil
	}
	cur := tx.Seek(r.Start, r.End)
	defer closeCursor(cur, &err)
	for lastKey, lastID := "", ""; cur.Valid(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, key, id, ok := metadb.ParseUploadKey(cur.Key())
		if !ok {
			return metadb.ErrBadRecord
		}
		if len(page.Uploads)+len(page.Prefixes) == limit {
			page.Truncated, page.NextKeyMarker, page.NextUploadIDMarker = true, lastKey, lastID
			return nil
		}
		if cp, ok := commonPrefix(key, req.Prefix, req.Delimiter); ok {
			page.Prefixes = append(page.Prefixes, cp)
			lastKey, lastID = cp, ""
			cur.SeekTo(metadb.UploadsRange(req.Bucket, cp).End)
			continue
		}
		row, err := cur.Value()
		if err != nil {
			return err
		}
		up, err := metadb.UnmarshalUpload(row)
		if err != nil {
			return err
		}
		up.Bucket, up.Key, up.UploadID = req.Bucket, key, id
		page.Uploads = append(page.Uploads, up)
		lastKey, lastID = key, id
		cur.Next()
	}
	return nil
}
