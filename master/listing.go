package master

import (
	"bytes"
	"context"
	"strings"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// maxPage bounds a page of objects, versions or uploads, as AWS "ListObjectsV2"
// does.
const maxPage = 1000

func pageLimit(n int) int { return max(0, min(n, maxPage)) }

// rollUp is how a listing puts keys together: those that begin with prefix and
// hold the delimiter behind it are shown as one common prefix, up to and with
// the first delimiter. The zero value shows every key.
type rollUp struct{ prefix, delimiter string }

// common returns the common prefix that shows key. key must begin with prefix.
func (u rollUp) common(key string) (string, bool) {
	if u.delimiter == "" {
		return "", false
	}
	i := strings.Index(key[len(u.prefix):], u.delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(u.prefix)+i+len(u.delimiter)], true
}

// passed returns the common prefix that a marker is or lies in: it comes before
// the marker or is it, so that it is not shown, nor is a key beneath it. Source:
// AWS ListObjects, "CommonPrefixes is filtered out from results if it is not
// lexicographically greater than the key-marker".
func (u rollUp) passed(marker string) (string, bool) {
	if !strings.HasPrefix(marker, u.prefix) {
		return "", false
	}
	return u.common(marker)
}

// later returns the greater of two keys.
func later(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return b
	}
	return a
}

func closeCursor(c metadb.Cursor, err *error) {
	if cerr := c.Close(); *err == nil {
		*err = cerr
	}
}

// ListObjects returns a page of current versions in key order. It seeks past
// each common prefix, so a page costs its entries and not the objects beneath
// them, nor the noncurrent versions. Truncated is exact: there is at least one
// more entry.
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
func objectsRange(req meta.ListRequest, group rollUp) metadb.Range {
	r := metadb.ObjectRange(req.Bucket, req.Prefix)
	if req.After == "" {
		return r
	}
	start := metadb.After(metadb.ObjectKey(req.Bucket, req.After))
	if cp, ok := group.passed(req.After); ok {
		start = metadb.ObjectRange(req.Bucket, cp).End
	}
	r.Start = later(r.Start, start)
	return r
}

func listObjects(ctx context.Context, tx metadb.Tx, req meta.ListRequest, page *meta.ListPage) (err error) {
	group := rollUp{req.Prefix, req.Delimiter}
	limit, r := pageLimit(req.Limit), objectsRange(req, group)
	if limit == 0 || r.Empty() {
		return nil
	}
	cur := tx.Seek(r.Start, r.End)
	defer closeCursor(cur, &err)
	begin := len(metadb.ObjectKey(req.Bucket, "")) // of keys, in those of rows
	var rows metadb.Listing
	for last := ""; cur.Valid(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		row, err := cur.Value()
		if err != nil {
			return err
		}
		o, shown, err := rows.Row(cur.Key()[begin:], row)
		if err != nil {
			return err
		}
		if !shown {
			cur.Next()
			continue
		}
		if len(page.Objects)+len(page.Prefixes) == limit {
			page.Truncated, page.Next = true, last
			return nil
		}
		if cp, ok := group.common(o.Key); ok {
			page.Prefixes = append(page.Prefixes, cp)
			last = cp
			cur.SeekTo(metadb.ObjectRange(req.Bucket, cp).End)
			continue
		}
		page.Objects = appendListed(page.Objects, o, limit)
		last = o.Key
		cur.Next()
	}
	return nil
}

// fewListed is how many objects most pages have at most that are not full.
const fewListed = 32

// appendListed is append for a page, which is short or, most often, full.
func appendListed(page []meta.Listed, o meta.Listed, limit int) []meta.Listed {
	if len(page) == cap(page) {
		room := fewListed
		if len(page) > 0 {
			room = limit
		}
		page = append(make([]meta.Listed, 0, min(room, limit)), page...)
	}
	return append(page, o)
}
