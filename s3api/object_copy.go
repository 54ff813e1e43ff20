package s3api

import (
	"context"
	"io"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"tdkvs/master/meta"
	"tdkvs/s3api/checksum"
	"tdkvs/s3api/conditional"
	"tdkvs/s3api/s3err"
)

// copySource is what x-amz-copy-source names.
type copySource struct{ bucket, key, versionID string }

// parseCopySource reads x-amz-copy-source: "bucket/key", with or without a
// leading slash, URL-encoded, with "?versionId=" behind it where a version is
// meant. As on AWS, and unlike in a path, "+" is a space: the encoders of forms
// write it so, and those of paths that work with AWS write a plus as "%2B".
// Source: AWS CopyObject.
func parseCopySource(s string) (copySource, error) {
	bad := func(message string) error { return s3err.Argument(message, "x-amz-copy-source", s) }
	path, version, versioned := strings.Cut(s, "?versionId=")
	var src copySource
	if versioned {
		id, err := url.PathUnescape(version)
		if err != nil {
			return src, bad("Invalid copy source encoding")
		}
		if src.versionID, err = parseVersionID(id, "x-amz-copy-source"); err != nil {
			return src, err
		}
	}
	path, err := url.QueryUnescape(path)
	if err != nil || !utf8.ValidString(path) {
		return src, bad("Invalid copy source encoding")
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case !possibleBucketName(bucket) || dottedQuad(bucket):
		return src, bad("Invalid copy source bucket name")
	case key == "":
		return src, bad("Invalid copy source object key")
	}
	if err := checkKey(key); err != nil {
		return src, err
	}
	src.bucket, src.key = bucket, key
	return src, nil
}

// copySource reads x-amz-copy-source.
func (r *Request) copySource() (copySource, error) {
	return parseCopySource(r.header("X-Amz-Copy-Source"))
}

// openSource authorises, opens and checks the source of a copy. Close must be
// called on what it returns.
func (h *handler) openSource(ctx context.Context, r *Request, src copySource) (ObjectReader, error) {
	err := h.authorize(ctx, r, Access{Permission: readPermission(src.versionID), Bucket: src.bucket, Key: src.key, VersionID: src.versionID})
	if err != nil {
		return nil, err
	}
	if err := h.checkOwner(r, "X-Amz-Source-Expected-Bucket-Owner"); err != nil {
		return nil, err
	}
	for _, name := range [...]string{"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key"} {
		if r.has(name) {
			return nil, s3err.New(s3err.InvalidRequest, "The encryption parameters are not applicable to this object.")
		}
	}
	reader, err := h.cfg.Backend.OpenObject(ctx, src.bucket, src.key, src.versionID)
	if err != nil {
		return nil, sourceError(err, src)
	}
	obj := reader.Object()
	if err := r.checkSource(&obj); err != nil {
		_ = reader.Close() // the answer is settled
		return nil, err
	}
	return reader, nil
}

// sourceError names the source, not the destination, in an error about it.
func sourceError(err error, src copySource) error {
	e := classifyCause(err)
	if marker, ok := foundMarker(err); ok {
		if src.versionID != "" {
			return s3err.New(s3err.InvalidRequest, "The source of a copy request may not specifically refer to a delete marker by version id.").Wrap(err)
		}
		e = withMarker(e, marker)
	}
	switch e.Code {
	case s3err.NoSuchBucket:
		return e.With("BucketName", src.bucket)
	case s3err.NoSuchKey:
		return e.With("Key", src.key)
	case s3err.NoSuchVersion:
		return e.With("Key", src.key).With("VersionId", src.versionID)
	}
	return err
}

// setSource names the version that was copied from.
func (r *Response) setSource(src *meta.Object) { r.setOptional(sourceVersionHeader, src.VersionID) }

// copyObject serves CopyObject.
func (h *handler) copyObject(ctx context.Context, r *Request) (*Response, error) {
	var plan copyPlan
	var err error
	if plan.put, err = h.writeRequest(ctx, r); err != nil {
		return nil, err
	}
	if plan.store, err = checksum.ParseCopy(r.http.Header); err != nil {
		return nil, err
	}
	if plan.replaceMeta, err = r.directive("X-Amz-Metadata-Directive", "Unknown metadata directive."); err != nil {
		return nil, err
	}
	if plan.replaceTags, err = r.directive("X-Amz-Tagging-Directive", "Unknown tagging directive."); err != nil {
		return nil, err
	}
	src, err := r.copySource()
	if err != nil {
		return nil, err
	}
	reader, err := h.openSource(ctx, r, src)
	if err != nil {
		return nil, err
	}
	obj := reader.Object()
	plan.put.Size = obj.Size
	plan.put.Attributes = plan.merge(&obj)
	plan.restore = src.versionID != "" && obj.VersionID != ""
	if err = plan.check(r, &obj); err == nil && !plan.replaceTags {
		err = h.authorizeTagCopy(ctx, r, src, &obj)
	}
	if err != nil {
		_ = reader.Close() // the answer is settled
		return nil, err
	}
	return copyLate(reader, func(ctx context.Context) (*Response, error) { return h.copyTo(ctx, reader, &plan) }), nil
}

// copyLate answers with what write makes of the source, which it closes.
func copyLate(reader ObjectReader, write func(ctx context.Context) (*Response, error)) *Response {
	return lateResponse(func(ctx context.Context) (*Response, error) {
		resp, err := write(ctx)
		if closing := reader.Close(); err == nil && closing != nil {
			return nil, closing
		}
		return resp, err
	})
}

// authorizeTagCopy asks for what copying the tags of a source needs besides.
// Source: AWS CopyObject, permissions.
func (h *handler) authorizeTagCopy(ctx context.Context, r *Request, src copySource, obj *meta.Object) error {
	if len(obj.Tags) == 0 {
		return nil
	}
	read := Access{Permission: tagPermission(src.versionID), Bucket: src.bucket, Key: src.key, VersionID: src.versionID}
	if err := h.authorize(ctx, r, read); err != nil {
		return err
	}
	return h.authorize(ctx, r, Access{Permission: "s3:PutObjectTagging", Bucket: r.Bucket, Key: r.Key})
}

// copyPlan is what a CopyObject is to do.
type copyPlan struct {
	put                      meta.PutRequest
	store                    checksum.Algorithm // None: that of the source
	replaceMeta, replaceTags bool
	restore                  bool // the request names the version that it copies
}

// merge returns the attributes of the copy: those of the source, or of the
// request where a directive says so. Storage class, website redirect and
// lock are never copied. Source: AWS CopyObject.
func (p *copyPlan) merge(src *meta.Object) meta.Attributes {
	request, a := &p.put.Attributes, src.Attributes
	a.Lock = request.Lock
	a.Headers.StorageClass = request.Headers.StorageClass
	a.Headers.WebsiteRedirect = request.Headers.WebsiteRedirect
	if p.replaceMeta {
		a.Headers, a.UserMeta = request.Headers, request.UserMeta
	}
	if p.replaceTags {
		a.Tags = request.Tags
	}
	return a
}

// check refuses a copy that is too large, or that would change nothing. One of a
// version to its own key makes it the current one again; which it is at the moment
// AWS does not ask.
func (p *copyPlan) check(r *Request, src *meta.Object) error {
	if src.Size > meta.MaxPutSize {
		return sourceTooLarge()
	}
	same := src.Bucket == r.Bucket && src.Key == r.Key
	changed := p.replaceMeta || r.has("X-Amz-Storage-Class") || r.has("X-Amz-Website-Redirect-Location") ||
		p.store != checksum.None && p.store.String() != src.Checksum.Algorithm
	if same && !changed && !p.restore {
		return s3err.New(s3err.InvalidRequest, "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	return nil
}

func sourceTooLarge() *s3err.Error {
	return s3err.New(s3err.InvalidRequest, "The specified copy source is larger than the maximum allowable size for a copy source: "+strconv.FormatInt(meta.MaxPutSize, 10))
}

// copyTo writes the copy.
func (h *handler) copyTo(ctx context.Context, reader ObjectReader, plan *copyPlan) (*Response, error) {
	src := reader.Object()
	store := plan.store
	if store == checksum.None {
		store, _ = checksum.ParseAlgorithm(src.Checksum.Algorithm)
	}
	body, err := h.openCopy(ctx, reader, conditional.Range{Offset: 0, Length: src.Size}, store)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	obj, err := h.cfg.Backend.PutObject(ctx, plan.put, body)
	if err != nil {
		return nil, conflict(err, plan.put.Precondition)
	}
	doc := new(document)
	doc.root("CopyObjectResult")
	doc.time("LastModified", obj.Modified)
	doc.etag(obj.ETag)
	doc.checksum(obj.Checksum)
	doc.optional("ChecksumType", obj.Checksum.Type)
	doc.close("CopyObjectResult")
	resp := &Response{doc: doc}
	resp.setWritten(&obj)
	resp.setSource(&src)
	return resp, nil
}

// copyBody is a run of an object's bytes as the payload of a write.
type copyBody struct {
	*checksum.Payload
	src io.ReadCloser
}

// Close closes the source.
func (c *copyBody) Close() {
	_ = c.Payload.Close() // nothing was written: closing loses nothing
	_ = c.src.Close()
}

// openCopy opens a run of the source's bytes as a payload.
func (h *handler) openCopy(ctx context.Context, reader ObjectReader, span conditional.Range, store checksum.Algorithm) (*copyBody, error) {
	src := io.NopCloser(strings.NewReader(""))
	if span.Length > 0 {
		var err error
		if src, err = reader.Range(ctx, span.Offset, span.Length); err != nil {
			return nil, err
		}
	}
	return &copyBody{checksum.NewPayload(src, checksum.Config{Size: span.Length, Store: store}), src}, nil
}

// directive reads a COPY or REPLACE header.
func (r *Request) directive(name, message string) (replace bool, err error) {
	switch v := r.header(name); v {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	default:
		return false, s3err.Argument(message, strings.ToLower(name), v)
	}
}

// checksum writes <ChecksumCRC32> or one of its kin.
func (d *document) checksum(c meta.Checksum) {
	if c.Algorithm != "" && c.Value != "" {
		d.text("Checksum"+c.Algorithm, c.Value)
	}
}
