package s3api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"math"
	"strconv"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// maxKeys is how many entries one page of a listing has at most.
const maxKeys = 1000

// listing are the parameters that ListObjects and ListObjectsV2 share.
type listing struct {
	prefix, delimiter string
	limit             int
	keys              keyEncoder
}

// listing reads the shared parameters.
func (r *Request) listing() (listing, error) {
	l := listing{prefix: r.param("prefix"), delimiter: r.param("delimiter")}
	var err error
	if l.limit, err = r.limit("max-keys", "maxKeys"); err != nil {
		return l, err
	}
	l.keys, err = r.keyEncoder()
	return l, err
}

// limit reads a parameter that bounds a page: 1,000 where it is missing or
// larger. name is what AWS calls a negative argument.
func (r *Request) limit(param, name string) (int, error) {
	s := r.param(param)
	if s == "" {
		return maxKeys, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil || n > math.MaxInt32:
		return 0, s3err.Argument("Provided "+param+" not an integer or within integer range", param, s)
	case n < 0:
		return 0, s3err.Argument("Argument "+name+" must be an integer between 0 and 2147483647", name, s)
	}
	return int(min(n, maxKeys)), nil
}

// keyEncoder reads encoding-type.
func (r *Request) keyEncoder() (keyEncoder, error) {
	switch v := r.param("encoding-type"); v {
	case "":
		return keyEncoder{}, nil
	case "url":
		return keyEncoder{url: true}, nil
	default:
		return keyEncoder{}, s3err.Argument("Invalid Encoding Method specified in Request", "encoding-type", v)
	}
}

// list reads a page. A page of no entries is empty and not truncated, as on AWS,
// but its bucket must exist.
func (h *handler) list(ctx context.Context, r *Request, l listing, after string) (meta.ListPage, error) {
	if l.limit == 0 {
		_, err := h.cfg.Backend.Bucket(ctx, r.Bucket)
		return meta.ListPage{}, err
	}
	return h.cfg.Backend.ListObjects(ctx, meta.ListRequest{
		Bucket: r.Bucket, Prefix: l.prefix, Delimiter: l.delimiter, After: after, Limit: l.limit,
	})
}

// listObjects serves ListObjects, the first version, which has no list-type.
func (h *handler) listObjects(ctx context.Context, r *Request) (*Response, error) {
	if v, ok := r.query["list-type"]; ok {
		return nil, s3err.Argument("Invalid List Type specified in Request", "list-type", v[0])
	}
	l, err := r.listing()
	if err != nil {
		return nil, err
	}
	marker := r.param("marker")
	page, err := h.list(ctx, r, l, marker)
	if err != nil {
		return nil, err
	}
	doc := h.page()
	doc.root("ListBucketResult")
	doc.text("Name", r.Bucket)
	l.keys.text(doc, "Prefix", l.prefix)
	l.keys.text(doc, "Marker", marker)
	if page.Truncated && l.delimiter != "" {
		l.keys.text(doc, "NextMarker", page.Next)
	}
	h.writePage(doc, l, &page, true)
	doc.close("ListBucketResult")
	return &Response{doc: doc}, nil
}

// listObjectsV2 serves ListObjectsV2.
func (h *handler) listObjectsV2(ctx context.Context, r *Request) (*Response, error) {
	l, err := r.listing()
	if err != nil {
		return nil, err
	}
	startAfter := r.param("start-after")
	after, err := r.continuation()
	if err != nil {
		return nil, err
	}
	if after == "" {
		after = startAfter
	}
	page, err := h.list(ctx, r, l, after)
	if err != nil {
		return nil, err
	}
	doc := h.page()
	doc.root("ListBucketResult")
	doc.text("Name", r.Bucket)
	l.keys.text(doc, "Prefix", l.prefix)
	l.keys.optional(doc, "StartAfter", startAfter)
	if token, ok := r.query["continuation-token"]; ok {
		doc.text("ContinuationToken", token[0])
	}
	if page.Truncated {
		doc.text("NextContinuationToken", continuationToken(page.Next))
	}
	doc.int("KeyCount", int64(len(page.Objects)+len(page.Prefixes)))
	h.writePage(doc, l, &page, r.param("fetch-owner") == "true")
	doc.close("ListBucketResult")
	return &Response{doc: doc}, nil
}

// writePage writes what both versions have in common.
func (h *handler) writePage(doc *document, l listing, page *meta.ListPage, owner bool) {
	doc.int("MaxKeys", int64(l.limit))
	l.keys.optional(doc, "Delimiter", l.delimiter)
	if l.keys.url {
		doc.text("EncodingType", "url")
	}
	doc.bool("IsTruncated", page.Truncated)
	for i := range page.Objects {
		h.writeEntry(doc, l.keys, &page.Objects[i], owner)
	}
	for _, p := range page.Prefixes {
		doc.open("CommonPrefixes")
		l.keys.text(doc, "Prefix", p)
		doc.close("CommonPrefixes")
	}
}

// writeEntry writes one object of a listing.
func (h *handler) writeEntry(doc *document, keys keyEncoder, obj *meta.Object, owner bool) {
	doc.open("Contents")
	keys.text(doc, "Key", obj.Key)
	doc.time("LastModified", obj.Modified)
	doc.etag(obj.ETag)
	if obj.Checksum.Algorithm != "" {
		doc.text("ChecksumAlgorithm", obj.Checksum.Algorithm)
		doc.optional("ChecksumType", obj.Checksum.Type)
	}
	doc.int("Size", obj.Size)
	if owner {
		doc.owner("Owner", h.ownerOf(obj.Owner))
	}
	doc.text("StorageClass", storageClass(obj.Headers))
	doc.close("Contents")
}

// A continuation token is base64url of a version byte, a CRC32C of the name, and
// the name behind which the next page begins. Clients must not look inside; the
// CRC keeps those apart that hand in something else.
const tokenVersion = 1

func continuationToken(after string) string {
	b := make([]byte, 5, 5+len(after))
	b[0] = tokenVersion
	binary.BigEndian.PutUint32(b[1:], tokenSum(after))
	return base64.RawURLEncoding.EncodeToString(append(b, after...))
}

func tokenSum(after string) uint32 {
	return crc32.Checksum([]byte(after), crc32.MakeTable(crc32.Castagnoli))
}

// continuation reads continuation-token: the name behind which to go on. An
// empty one is none.
func (r *Request) continuation() (string, error) {
	token := r.param("continuation-token")
	if token == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil && len(b) > 5 && b[0] == tokenVersion && binary.BigEndian.Uint32(b[1:]) == tokenSum(string(b[5:])) {
		return string(b[5:]), nil
	}
	return "", s3err.Argument("The continuation token provided is incorrect", "continuation-token", token)
}
