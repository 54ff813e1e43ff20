package s3api

import (
	"cmp"
	"context"
	"math"
	"strconv"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// listParts serves ListParts.
func (h *handler) listParts(ctx context.Context, r *Request) (*Response, error) {
	limit, err := r.limit("max-parts", "max-parts")
	if err != nil {
		return nil, err
	}
	marker, err := r.partNumberMarker()
	if err != nil {
		return nil, err
	}
	keys, err := r.keyEncoder()
	if err != nil {
		return nil, err
	}
	// One more than asked for tells whether there are more.
	up, parts, err := h.cfg.Backend.UploadParts(ctx, r.Bucket, r.Key, r.param("uploadId"), marker, limit+1)
	if err != nil {
		return nil, err
	}
	truncated := limit > 0 && len(parts) > limit
	parts = parts[:min(limit, len(parts))]
	doc := h.page()
	doc.root("ListPartsResult")
	doc.text("Bucket", r.Bucket)
	keys.text(doc, "Key", r.Key)
	doc.text("UploadId", up.UploadID)
	doc.owner("Initiator", h.ownerOf(up.Owner))
	doc.owner("Owner", h.ownerOf(up.Owner))
	doc.text("StorageClass", storageClass(up.Headers))
	doc.int("PartNumberMarker", int64(marker))
	// AWS says 0 on a page without parts. SDKs that go on for as long as there is a marker, JavaScript's among them, begin
	// again with that and never end; without one they end.
	if len(parts) > 0 {
		doc.int("NextPartNumberMarker", int64(parts[len(parts)-1].Number))
	}
	doc.int("MaxParts", int64(limit))
	keys.echo(doc)
	doc.bool("IsTruncated", truncated)
	doc.text("ChecksumAlgorithm", cmp.Or(up.ChecksumAlgorithm, noChecksum))
	doc.text("ChecksumType", cmp.Or(up.ChecksumType, noChecksum))
	for i := range parts {
		writePart(doc, &up, &parts[i])
	}
	doc.close("ListPartsResult")
	return &Response{doc: doc}, nil
}

// noChecksum is how AWS writes in ListParts that an upload has no algorithm.
const noChecksum = "null"

// writePart writes one part of ListParts. The checksum that is computed where
// the client asked for none is the store's own business.
func writePart(doc *document, up *meta.Upload, p *meta.Part) {
	doc.open("Part")
	doc.int("PartNumber", int64(p.Number))
	doc.time("LastModified", p.Modified)
	doc.etag(p.ETag)
	doc.int("Size", p.Size)
	if up.ChecksumAlgorithm != "" {
		doc.checksum(p.Checksum)
	}
	doc.close("Part")
}

// partNumberMarker reads part-number-marker.
func (r *Request) partNumberMarker() (int, error) {
	s := r.param("part-number-marker")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil || n > math.MaxInt32:
		return 0, s3err.Argument("Provided part-number-marker not an integer or within integer range", "part-number-marker", s)
	case n < 0:
		return 0, s3err.Argument("Argument part-number-marker must be an integer between 0 and 2147483647", "part-number-marker", s)
	}
	return int(n), nil
}

// listMultipartUploads serves ListMultipartUploads.
func (h *handler) listMultipartUploads(ctx context.Context, r *Request) (*Response, error) {
	limit, err := r.limit("max-uploads", "max-uploads")
	if err != nil {
		return nil, err
	}
	keys, err := r.keyEncoder()
	if err != nil {
		return nil, err
	}
	req := meta.UploadsRequest{
		Bucket: r.Bucket, Prefix: r.param("prefix"), Delimiter: r.param("delimiter"),
		KeyMarker: r.param("key-marker"), UploadIDMarker: r.param("upload-id-marker"), Limit: limit,
	}
	if req.KeyMarker == "" {
		req.UploadIDMarker = "" // counts only with a key marker
	}
	page, err := h.uploads(ctx, req)
	if isKind(err, meta.KindNoSuchUpload) {
		return nil, s3err.Argument("Invalid uploadId marker", "upload-id-marker", req.UploadIDMarker)
	}
	if err != nil {
		return nil, err
	}
	doc := h.page()
	doc.root("ListMultipartUploadsResult")
	doc.text("Bucket", r.Bucket)
	keys.text(doc, "KeyMarker", req.KeyMarker)
	doc.text("UploadIdMarker", req.UploadIDMarker)
	keys.text(doc, "NextKeyMarker", page.NextKeyMarker)
	doc.text("NextUploadIdMarker", page.NextUploadIDMarker)
	keys.optional(doc, "Delimiter", req.Delimiter)
	keys.text(doc, "Prefix", req.Prefix)
	keys.echo(doc)
	doc.int("MaxUploads", int64(limit))
	doc.bool("IsTruncated", page.Truncated)
	for i := range page.Uploads {
		h.writeUpload(doc, keys, &page.Uploads[i])
	}
	keys.prefixes(doc, page.Prefixes)
	doc.close("ListMultipartUploadsResult")
	return &Response{doc: doc}, nil
}

// uploads reads a page. A page of no entries is empty, but its bucket must exist.
func (h *handler) uploads(ctx context.Context, req meta.UploadsRequest) (meta.UploadsPage, error) {
	if req.Limit == 0 {
		_, err := h.cfg.Backend.Bucket(ctx, req.Bucket)
		return meta.UploadsPage{}, err
	}
	return h.cfg.Backend.ListUploads(ctx, req)
}

// writeUpload writes one upload of ListMultipartUploads.
func (h *handler) writeUpload(doc *document, keys keyEncoder, up *meta.Upload) {
	doc.open("Upload")
	keys.text(doc, "Key", up.Key)
	doc.text("UploadId", up.UploadID)
	doc.owner("Initiator", h.ownerOf(up.Owner))
	doc.owner("Owner", h.ownerOf(up.Owner))
	doc.text("StorageClass", storageClass(up.Headers))
	doc.time("Initiated", up.Initiated)
	doc.optional("ChecksumAlgorithm", up.ChecksumAlgorithm)
	doc.optional("ChecksumType", up.ChecksumType)
	doc.close("Upload")
}
