package master

import (
	"context"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// ListVersions returns a page of versions and delete markers, by key and then
// newest first. It seeks past each common prefix, so a page costs its entries and
// not the versions beneath them. Truncated is exact: there is at least one more
// entry.
func (e *Engine) ListVersions(ctx context.Context, req meta.VersionsRequest) (meta.VersionsPage, error) {
	var page meta.VersionsPage
	err := checkBucket(req.Bucket)
	if err == nil {
		err = e.view(ctx, func(tx metadb.Tx) error {
			page = meta.VersionsPage{}
			b, err := getBucket(tx, req.Bucket)
			if err != nil {
				return err
			}
			return listVersions(ctx, tx, b, req, &page)
		})
	}
	if err != nil {
		return meta.VersionsPage{}, fault("list versions", req.Bucket, "", err)
	}
	return page, nil
}

func listVersions(ctx context.Context, tx metadb.Tx, b meta.Bucket, req meta.VersionsRequest, page *meta.VersionsPage) (err error) {
	limit, group := pageLimit(req.Limit), rollUp{req.Prefix, req.Delimiter}
	currents, others, err := versionsRanges(tx, req, group)
	if limit == 0 || err != nil {
		return err
	}
	c := seekVersions(tx, req.Bucket, currents, others)
	defer c.close(&err)
	for lastKey, lastID := "", ""; c.valid(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(page.Versions)+len(page.Prefixes) == limit {
			page.Truncated, page.NextKeyMarker, page.NextVersionIDMarker = true, lastKey, lastID
			return nil
		}
		if cp, ok := group.common(c.key()); ok {
			page.Prefixes = append(page.Prefixes, cp)
			lastKey, lastID = cp, ""
			c.pass(cp)
			continue
		}
		v, err := c.version()
		if err != nil {
			return err
		}
		lastKey, lastID = v.Key, v.VersionID
		if lastID == "" {
			lastID = meta.NullVersion
		}
		v.VersionID = shownID(b, v.VersionID)
		page.Versions = append(page.Versions, v)
		c.next()
	}
	return c.err
}

// versionsRanges returns where a page begins and the listing ends, among the
// rows of current versions and among those of the others.
func versionsRanges(tx metadb.Tx, req meta.VersionsRequest, group rollUp) (currents, others metadb.Range, err error) {
	currents, others = metadb.ObjectRange(req.Bucket, req.Prefix), metadb.VersionsRange(req.Bucket, req.Prefix)
	if req.KeyMarker == "" {
		return currents, others, nil
	}
	current := metadb.After(metadb.ObjectKey(req.Bucket, req.KeyMarker))
	other := metadb.VersionRange(req.Bucket, req.KeyMarker).End
	if cp, ok := group.passed(req.KeyMarker); ok {
		current, other = metadb.ObjectRange(req.Bucket, cp).End, metadb.VersionsRange(req.Bucket, cp).End
	} else if req.VersionIDMarker != "" {
		if current, other, err = behindVersion(tx, req); err != nil {
			return currents, others, err
		}
	}
	currents.Start, others.Start = later(currents.Start, current), later(others.Start, other)
	return currents, others, nil
}

// behindVersion returns where a listing goes on behind a version of its key
// marker. The version need not be there any more: its id leads to its place.
// Where newer versions were deleted since, the current one may come behind it.
// The null version has no place once it is gone: the key's versions begin anew.
// KindNoSuchVersion for an id that no version can have.
func behindVersion(tx metadb.Tx, req meta.VersionsRequest) (current, other []byte, err error) {
	current, other = metadb.ObjectKey(req.Bucket, req.KeyMarker), metadb.VersionRange(req.Bucket, req.KeyMarker).Start
	seq, ok := parseID(req.VersionIDMarker)
	if !ok && req.VersionIDMarker != meta.NullVersion {
		return nil, nil, refuse(meta.KindNoSuchVersion)
	}
	row, err := getVersion(tx, current, req.Bucket, req.KeyMarker)
	if err != nil || row == nil {
		return current, other, err // where there is no current version there are no others
	}
	if req.VersionIDMarker == meta.NullVersion {
		if ok, seq = nullBehind(row); !ok {
			return current, other, nil
		}
	}
	if row.Seq >= seq {
		current = metadb.After(current)
	}
	return current, metadb.After(metadb.VersionKey(req.Bucket, req.KeyMarker, seq)), nil
}

// versionCursor walks the versions of a bucket, by key and then newest first: it
// merges the rows of the current versions with those of the others.
type versionCursor struct {
	bucket         string
	current, other rowCursor
	err            error // of a row's key; it ends the walk
}

// rowCursor is a cursor and the object key of the row that it stands on.
type rowCursor struct {
	metadb.Cursor
	key string
}

func seekVersions(tx metadb.Tx, bucket string, currents, others metadb.Range) *versionCursor {
	c := &versionCursor{bucket: bucket}
	c.current.Cursor = tx.Seek(currents.Start, currents.End)
	c.other.Cursor = tx.Seek(others.Start, others.End)
	c.readCurrent()
	c.readOther()
	return c
}

func (c *versionCursor) readCurrent() {
	if c.current.Valid() {
		var ok bool
		if _, c.current.key, ok = metadb.ParseObjectKey(c.current.Key()); !ok {
			c.err = metadb.ErrBadRecord
		}
	}
}

func (c *versionCursor) readOther() {
	if c.other.Valid() {
		var ok bool
		if _, c.other.key, _, ok = metadb.ParseVersionKey(c.other.Key()); !ok {
			c.err = metadb.ErrBadRecord
		}
	}
}

func (c *versionCursor) valid() bool { return c.err == nil && (c.current.Valid() || c.other.Valid()) }

// latest reports whether the cursor stands on the current version of a key,
// which comes before the others.
func (c *versionCursor) latest() bool {
	return c.current.Valid() && (!c.other.Valid() || c.current.key <= c.other.key)
}

func (c *versionCursor) key() string {
	if c.latest() {
		return c.current.key
	}
	return c.other.key
}

// version returns the version that the cursor stands on.
func (c *versionCursor) version() (meta.Version, error) {
	from, latest := c.other, c.latest()
	if latest {
		from = c.current
	}
	row, err := from.Value()
	if err != nil {
		return meta.Version{}, err
	}
	o, err := metadb.UnmarshalListing(row)
	o.Bucket, o.Key = c.bucket, from.key
	return meta.Version{Object: o, Latest: latest}, err
}

func (c *versionCursor) next() {
	if c.latest() {
		c.current.Next()
		c.readCurrent()
		return
	}
	c.other.Next()
	c.readOther()
}

// pass moves behind all keys that begin with prefix.
func (c *versionCursor) pass(prefix string) {
	c.current.SeekTo(metadb.ObjectRange(c.bucket, prefix).End)
	c.other.SeekTo(metadb.VersionsRange(c.bucket, prefix).End)
	c.readCurrent()
	c.readOther()
}

func (c *versionCursor) close(err *error) {
	closeCursor(c.current, err)
	closeCursor(c.other, err)
}
