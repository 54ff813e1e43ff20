package s3api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// listObjects serves ListObjects, the first version: every list-type but 2, as
// on AWS. A truncated page always names NextMarker: AWS does so only where there
// is a delimiter, but many a client looks for nothing else.
func (h *handler) listObjects(ctx context.Context, r *Request) (*Response, error) {
	l, err := h.pageOf(ctx, r,
		foreign{"continuation-token", "continuation-token only supported in REST.GET.BUCKET with list-type=2"},
		foreign{"start-after", "startAfter only supported in REST.GET.BUCKET with list-type=2"})
	if err != nil {
		return nil, err
	}
	marker := r.param("marker")
	page, err := h.objects(ctx, r, l, marker)
	if err != nil {
		return nil, err
	}
	doc := h.page()
	doc.root("ListBucketResult")
	doc.text("Name", r.Bucket)
	l.keys.sparse(doc, "Prefix", l.prefix)
	l.keys.text(doc, "Marker", marker)
	if page.Truncated {
		l.keys.text(doc, "NextMarker", page.Next)
	}
	h.writeObjects(doc, l, &page, true)
	return &Response{doc: doc}, nil
}

// listObjectsV2 serves ListObjectsV2.
func (h *handler) listObjectsV2(ctx context.Context, r *Request) (*Response, error) {
	l, err := h.pageOf(ctx, r, foreign{"marker", "Marker unsupported with REST.GET.BUCKET in list-type=2"})
	if err != nil {
		return nil, err
	}
	after, err := r.continuation()
	if err != nil {
		return nil, h.behindBucket(ctx, r, err)
	}
	if after == "" {
		after = r.param("start-after")
	}
	page, err := h.objects(ctx, r, l, after)
	if err != nil {
		return nil, err
	}
	doc := h.page()
	doc.root("ListBucketResult")
	doc.text("Name", r.Bucket)
	l.keys.text(doc, "Prefix", l.prefix)
	if start, sent := r.query["start-after"]; sent {
		l.keys.text(doc, "StartAfter", start[0])
	}
	if token, sent := r.query["continuation-token"]; sent {
		doc.text("ContinuationToken", token[0])
	}
	if page.Truncated {
		doc.text("NextContinuationToken", continuationToken(page.Next))
	}
	doc.int("KeyCount", int64(len(page.Objects)+len(page.Prefixes)))
	h.writeObjects(doc, l, &page, r.param("fetch-owner") == "true")
	return &Response{doc: doc}, nil
}

// objects reads a page. allow-unordered is Ceph's: pages in no order are not
// offered, and Ceph's clients expect the refusal with a delimiter.
func (h *handler) objects(ctx context.Context, r *Request, l listing, after string) (meta.ListPage, error) {
	if l.delimiter != "" && r.param("allow-unordered") == "true" {
		return meta.ListPage{}, s3err.Argument("Unordered listings have no delimiter", "allow-unordered", "true")
	}
	return h.cfg.Backend.ListObjects(ctx, meta.ListRequest{
		Bucket: r.Bucket, Prefix: l.prefix, Delimiter: l.delimiter, After: after, Limit: l.limit,
	})
}

// writeObjects writes what both versions have in common, to the end.
func (h *handler) writeObjects(doc *document, l listing, page *meta.ListPage, owner bool) {
	l.bounds(doc, page.Truncated)
	for i := range page.Objects {
		obj := &page.Objects[i]
		doc.b = l.keys.append(append(doc.b, "<Contents><Key>"...), obj.Key)
		doc.b = appendTime(append(doc.b, "</Key><LastModified>"...), obj.Modified)
		doc.b = appendStored(append(doc.b, "</LastModified>"...), obj.ETag, obj.ChecksumAlgorithm, obj.ChecksumType, obj.Size)
		if owner {
			doc.owner("Owner", h.ownerOf(obj.Owner))
		}
		doc.b = appendText(append(doc.b, "<StorageClass>"...), ClassName(obj.StorageClass))
		doc.b = append(doc.b, "</StorageClass></Contents>"...)
	}
	l.keys.prefixes(doc, page.Prefixes)
	doc.close("ListBucketResult")
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
// empty one is none, which Ceph's s3-tests and others that build on boto3 expect;
// AWS refuses it.
func (r *Request) continuation() (string, error) {
	token := r.param("continuation-token")
	if token == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil && len(b) > 5 && b[0] == tokenVersion && binary.BigEndian.Uint32(b[1:]) == tokenSum(string(b[5:])) {
		return string(b[5:]), nil
	}
	return "", s3err.New(s3err.InvalidArgument, "The continuation token provided is incorrect").With("ArgumentName", "continuation-token")
}
