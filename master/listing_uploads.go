package master

import (
	"context"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

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

func uploadsRange(req meta.UploadsRequest, group rollUp) metadb.Range {
	r := metadb.UploadsRange(req.Bucket, req.Prefix)
	if req.KeyMarker == "" {
		return r
	}
	start := metadb.UploadRange(req.Bucket, req.KeyMarker).End
	if cp, ok := group.passed(req.KeyMarker); ok {
		start = metadb.UploadsRange(req.Bucket, cp).End
	} else if req.UploadIDMarker != "" {
		start = metadb.After(metadb.UploadKey(req.Bucket, req.KeyMarker, req.UploadIDMarker))
	}
	r.Start = later(r.Start, start)
	return r
}

func listUploads(ctx context.Context, tx metadb.Tx, req meta.UploadsRequest, page *meta.UploadsPage) (err error) {
	group := rollUp{req.Prefix, req.Delimiter}
	limit, r := pageLimit(req.Limit), uploadsRange(req, group)
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
		if cp, ok := group.common(key); ok {
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
