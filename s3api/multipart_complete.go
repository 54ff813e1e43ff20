package s3api

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"strconv"
	"strings"

	"tdkvs/master/meta"
	"tdkvs/s3api/checksum"
	"tdkvs/s3api/conditional"
	"tdkvs/s3api/s3err"
)

// completedPart is one Part of a CompleteMultipartUpload document.
type completedPart struct {
	number int
	etag   string
	claim  checksum.Claim
}

// completion is what a CompleteMultipartUpload asks for.
type completion struct {
	parts     []completedPart
	condition meta.Precondition
	checksum  checksum.Value
	size      int64 // x-amz-mp-object-size; -1 where it was not sent
}

// maxCompletions is how often a completion is tried while parts are stored at
// the same time.
const maxCompletions = 8

// completeMultipartUpload serves CompleteMultipartUpload.
func (h *handler) completeMultipartUpload(ctx context.Context, r *Request) (*Response, error) {
	c, err := h.readCompletion(r)
	if err != nil {
		return nil, err
	}
	return lateResponse(func(ctx context.Context) (*Response, error) {
		obj, err := h.complete(ctx, r, c)
		if err != nil {
			return nil, conflict(err, c.condition)
		}
		doc := new(document)
		doc.root("CompleteMultipartUploadResult")
		doc.text("Location", r.location())
		doc.text("Bucket", r.Bucket)
		doc.text("Key", r.Key)
		doc.etag(obj.ETag)
		doc.checksum(obj.Checksum)
		doc.optional("ChecksumType", obj.Checksum.Type)
		doc.close("CompleteMultipartUploadResult")
		resp := &Response{doc: doc}
		resp.setWritten(&obj)
		return resp, nil
	}), nil
}

// complete makes the upload an object. Where a part is stored between reading
// the parts and the commit, it reads them anew. An upload that is complete
// already gives the same answer again, so that a client that did not see the
// first may repeat itself.
func (h *handler) complete(ctx context.Context, r *Request, c *completion) (meta.Object, error) {
	id := r.param("uploadId")
	var err error
	for range maxCompletions {
		var obj meta.Object
		obj, err = h.tryComplete(ctx, r, c, id)
		if err == nil {
			return obj, nil
		}
		if !isKind(err, meta.KindConflict) {
			break
		}
	}
	if !isKind(err, meta.KindNoSuchUpload) {
		return meta.Object{}, err
	}
	obj, again := h.cfg.Backend.CompletedUpload(ctx, r.Bucket, r.Key, id)
	if again != nil {
		return meta.Object{}, again
	}
	if obj.ETag != c.etag() {
		return meta.Object{}, err
	}
	return obj, nil
}

// tryComplete checks the client's parts against those stored, and commits.
func (h *handler) tryComplete(ctx context.Context, r *Request, c *completion, id string) (meta.Object, error) {
	up, stored, err := h.cfg.Backend.UploadParts(ctx, r.Bucket, r.Key, id, 0, 0)
	if err != nil {
		return meta.Object{}, err
	}
	parts, err := c.choose(stored, id)
	if err != nil {
		return meta.Object{}, err
	}
	sum := checksum.UploadOf(up)
	if err := c.checkClaims(sum, parts, id); err != nil {
		return meta.Object{}, err
	}
	if err := c.checkSizes(parts); err != nil {
		return meta.Object{}, err
	}
	digests, err := sum.Assemble(parts)
	if err != nil {
		return meta.Object{}, err
	}
	if err := c.checksum.Compare(sum, digests.Checksum); err != nil {
		return meta.Object{}, err
	}
	return h.cfg.Backend.CompleteUpload(ctx, meta.CompleteRequest{Upload: up, Parts: parts, Digests: digests, Precondition: c.condition})
}

// choose returns the stored parts that the client names, in its order.
func (c *completion) choose(stored []meta.Part, id string) ([]meta.Part, error) {
	parts := make([]meta.Part, 0, len(c.parts))
	i := 0
	for _, want := range c.parts {
		for i < len(stored) && stored[i].Number < want.number {
			i++
		}
		if i == len(stored) || stored[i].Number != want.number || stored[i].ETag != want.etag {
			return nil, invalidPart(id, want)
		}
		parts = append(parts, stored[i])
	}
	return parts, nil
}

func invalidPart(uploadID string, p completedPart) error {
	return s3err.Of(s3err.InvalidPart).
		With("UploadId", uploadID).
		With("PartNumber", strconv.Itoa(p.number)).
		With("ETag", p.etag)
}

// checkClaims checks what the client says of checksums: of the whole first, then
// of each part.
func (c *completion) checkClaims(sum checksum.Upload, parts []meta.Part, id string) error {
	if err := c.checksum.Check(sum); err != nil {
		return err
	}
	claims := make([]checksum.Claim, len(c.parts))
	for i, p := range c.parts {
		claims[i] = p.claim
	}
	if err := c.checksum.CheckClaims(sum, claims); err != nil {
		return err
	}
	for i, p := range c.parts {
		same, err := sum.CheckClaim(p.number, p.claim, parts[i])
		if err != nil {
			return err
		}
		if !same {
			return invalidPart(id, p)
		}
	}
	return nil
}

// checkSizes checks the parts' sizes and their sum.
func (c *completion) checkSizes(parts []meta.Part) error {
	var total int64
	for i, p := range parts {
		if p.Size < meta.MinPartSize && i < len(parts)-1 {
			return s3err.Of(s3err.EntityTooSmall).
				With("ProposedSize", strconv.FormatInt(p.Size, 10)).
				With("MinSizeAllowed", strconv.FormatInt(meta.MinPartSize, 10)).
				With("PartNumber", strconv.Itoa(p.Number)).
				With("ETag", p.ETag)
		}
		total += p.Size
	}
	if total > meta.MaxObjectSize {
		return s3err.Of(s3err.EntityTooLarge).
			With("ProposedSize", strconv.FormatInt(total, 10)).
			With("MaxSizeAllowed", strconv.FormatInt(meta.MaxObjectSize, 10))
	}
	if c.size >= 0 && c.size != total {
		return s3err.New(s3err.InvalidRequest, "The provided 'x-amz-mp-object-size' header value "+strconv.FormatInt(c.size, 10)+
			" does not match what was computed: "+strconv.FormatInt(total, 10))
	}
	return nil
}

// etag is the ETag of the object that the client's parts make.
func (c *completion) etag() string {
	sum := md5.New()
	for _, p := range c.parts {
		digest, err := hex.DecodeString(p.etag)
		if err != nil {
			return ""
		}
		sum.Write(digest)
	}
	return hex.EncodeToString(sum.Sum(nil)) + "-" + strconv.Itoa(len(c.parts))
}

// readCompletion reads headers and body.
func (h *handler) readCompletion(r *Request) (*completion, error) {
	c := &completion{size: -1}
	var err error
	if c.condition, err = r.writePrecondition(); err != nil {
		return nil, err
	}
	if c.checksum, err = checksum.ParseComplete(r.http.Header); err != nil {
		return nil, err
	}
	if v := r.header("X-Amz-Mp-Object-Size"); v != "" {
		if c.size, err = strconv.ParseInt(v, 10, 64); err != nil {
			return nil, s3err.New(s3err.InvalidRequest, "Value for x-amz-mp-object-size header is invalid.")
		}
		if c.size < 0 {
			return nil, s3err.New(s3err.InvalidRequest, "Value for x-amz-mp-object-size header is less than zero: '"+v+"'")
		}
	}
	_, err = h.readXML(r, digestMD5, "CompleteMultipartUpload", func(x *reader) error {
		return x.children(func(name string) error {
			if name != "Part" {
				return unexpected(name)
			}
			p, err := readPart(x)
			if err != nil {
				return err
			}
			if n := len(c.parts); n > 0 && c.parts[n-1].number >= p.number {
				return s3err.Of(s3err.InvalidPartOrder).With("UploadId", r.param("uploadId"))
			}
			c.parts = append(c.parts, p) // MaxParts of them at most: their numbers ascend
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if len(c.parts) == 0 {
		return nil, malformed(nil)
	}
	return c, nil
}

// readPart decodes one Part element.
func readPart(x *reader) (completedPart, error) {
	var p completedPart
	var sums, values []string
	err := x.children(func(name string) error {
		var err error
		switch sum, isSum := strings.CutPrefix(name, "Checksum"); {
		case name == "PartNumber":
			p.number, err = readPartNumber(x)
		case name == "ETag":
			p.etag, err = x.text()
			p.etag = strings.ToLower(conditional.Unquote(p.etag))
		case isSum:
			var value string
			value, err = x.text()
			sums, values = append(sums, sum), append(values, value)
		default:
			return unexpected(name)
		}
		return err
	})
	if err != nil {
		return p, err
	}
	var ok bool
	if p.claim, ok, err = checksum.ParseClaims(sums, values); err == nil && (p.number == 0 || p.etag == "" || len(sums) > 0 && !ok) {
		err = malformed(nil)
	}
	return p, err
}

// readPartNumber decodes a PartNumber element.
func readPartNumber(x *reader) (int, error) {
	n, err := x.int()
	switch {
	case err != nil:
		return 0, err
	case n < 1:
		return 0, s3err.Argument("PartNumber must be >= 1", "PartNumber", strconv.FormatInt(n, 10))
	case n > meta.MaxParts:
		return 0, invalidPartNumber("PartNumber", strconv.FormatInt(n, 10))
	}
	return int(n), nil
}
