package s3api

import (
	"context"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api/checksum"
	"tdkvs/s3api/conditional"
	"tdkvs/s3api/s3err"
)

// createMultipartUpload serves CreateMultipartUpload.
func (h *handler) createMultipartUpload(ctx context.Context, r *Request) (*Response, error) {
	attributes, err := h.attributes(ctx, r)
	if err != nil {
		return nil, err
	}
	sum, err := checksum.ParseUpload(r.http.Header)
	if err != nil {
		return nil, err
	}
	up, err := h.cfg.Backend.CreateUpload(ctx, meta.Upload{
		Bucket: r.Bucket, Key: r.Key, Owner: r.Identity.UserID, Attributes: attributes,
		ChecksumAlgorithm: sum.Algorithm.String(), ChecksumType: string(sum.Type),
	})
	if err != nil {
		return nil, err
	}
	doc := new(document)
	doc.root("InitiateMultipartUploadResult")
	doc.text("Bucket", r.Bucket)
	doc.text("Key", r.Key)
	doc.text("UploadId", up.UploadID)
	doc.close("InitiateMultipartUploadResult")
	resp := &Response{doc: doc}
	resp.setOptional("x-amz-checksum-algorithm", up.ChecksumAlgorithm)
	resp.setOptional("x-amz-checksum-type", up.ChecksumType)
	return resp, nil
}

// uploadTarget reads what UploadPart and UploadPartCopy have in common: the part
// number and the upload, which must exist before a byte is read.
func (h *handler) uploadTarget(ctx context.Context, r *Request) (int, meta.Upload, error) {
	number, err := r.partNumber()
	if err != nil {
		return 0, meta.Upload{}, err
	}
	if err := r.refuseUnsupported(); err != nil {
		return 0, meta.Upload{}, err
	}
	up, err := h.cfg.Backend.Upload(ctx, r.Bucket, r.Key, r.param("uploadId"))
	return number, up, err
}

// uploadPart serves UploadPart.
func (h *handler) uploadPart(ctx context.Context, r *Request) (*Response, error) {
	number, up, err := h.uploadTarget(ctx, r)
	if err != nil {
		return nil, err
	}
	spec, err := checksum.ParseHeader(r.http.Header)
	if err != nil {
		return nil, err
	}
	sum := checksum.UploadOf(up)
	if err := sum.CheckPart(spec); err != nil {
		return nil, err
	}
	if err := r.checkLength(); err != nil {
		return nil, err
	}
	p := r.openPayload(spec, sum.Store(), meta.MaxPutSize)
	defer p.Close()
	part, err := h.cfg.Backend.PutPart(ctx, r.Bucket, r.Key, up.UploadID, number, r.auth.Size, p)
	if err != nil {
		return nil, err
	}
	resp := new(Response)
	resp.set("ETag", quoted(part.ETag))
	if sent := p.Verified(); up.ChecksumAlgorithm == "" && sent.Value != "" {
		part.Checksum = sent // though it is not what is kept
	}
	if a, ok := checksum.ParseAlgorithm(part.Checksum.Algorithm); ok {
		resp.setOptional(a.Header(), part.Checksum.Value)
	}
	return resp, nil
}

// uploadPartCopy serves UploadPartCopy.
func (h *handler) uploadPartCopy(ctx context.Context, r *Request) (*Response, error) {
	from, err := r.copySource()
	if err != nil {
		return nil, err
	}
	number, up, err := h.uploadTarget(ctx, r)
	if err != nil {
		return nil, err
	}
	reader, err := h.openSource(ctx, r, from)
	if err != nil {
		return nil, err
	}
	src := reader.Object()
	span, err := r.copySpan(&src)
	if err != nil {
		_ = reader.Close() // the answer is settled
		return nil, err
	}
	return copyLate(reader, func(ctx context.Context) (*Response, error) { return h.copyPart(ctx, reader, span, number, up) }), nil
}

// copySpan returns the bytes of the source that UploadPartCopy is to copy.
func (r *Request) copySpan(src *meta.Object) (conditional.Range, error) {
	span := conditional.Range{Offset: 0, Length: src.Size}
	if v := r.header("X-Amz-Copy-Source-Range"); v != "" {
		var err error
		if span, err = parseCopyRange(v, src.Size); err != nil {
			return span, err
		}
	}
	if span.Length > meta.MaxPutSize {
		return span, sourceTooLarge()
	}
	return span, nil
}

// copyPart writes the part.
func (h *handler) copyPart(ctx context.Context, reader ObjectReader, span conditional.Range, number int, up meta.Upload) (*Response, error) {
	body, err := h.openCopy(ctx, reader, span, checksum.UploadOf(up).Store())
	if err != nil {
		return nil, err
	}
	defer body.Close()
	part, err := h.cfg.Backend.PutPart(ctx, up.Bucket, up.Key, up.UploadID, number, span.Length, body)
	if err != nil {
		return nil, err
	}
	doc := new(document)
	doc.root("CopyPartResult")
	doc.time("LastModified", part.Modified)
	doc.etag(part.ETag)
	if up.ChecksumAlgorithm != "" {
		doc.checksum(part.Checksum)
	}
	doc.close("CopyPartResult")
	resp := &Response{doc: doc}
	src := reader.Object()
	resp.setSource(&src)
	return resp, nil
}

// abortMultipartUpload serves AbortMultipartUpload. The condition on the time of
// initiation, which AWS knows for directory buckets, is kept for all: whoever
// sets it must not lose an upload to its being overlooked.
func (h *handler) abortMultipartUpload(ctx context.Context, r *Request) (*Response, error) {
	if v := r.header("X-Amz-If-Match-Initiated-Time"); v != "" {
		t, ok := conditional.ParseTime(v)
		if !ok {
			return nil, s3err.Argument("Invalid date", "x-amz-if-match-initiated-time", v)
		}
		up, err := h.cfg.Backend.Upload(ctx, r.Bucket, r.Key, r.param("uploadId"))
		if err != nil {
			return nil, err
		}
		if !t.Truncate(time.Second).Equal(up.Initiated.Truncate(time.Second)) {
			return nil, preconditionFailed("x-amz-if-match-initiated-time")
		}
	}
	return new(Response), h.cfg.Backend.AbortUpload(ctx, r.Bucket, r.Key, r.param("uploadId"))
}
