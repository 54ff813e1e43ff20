package s3api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api/conditional"
	"tdkvs/s3api/s3err"
)

// getObject serves GetObject.
func (h *handler) getObject(ctx context.Context, r *Request) (*Response, error) {
	rd, err := r.read()
	if err != nil {
		return nil, err
	}
	version, err := r.versionID()
	if err != nil {
		return nil, err
	}
	reader, err := h.cfg.Backend.OpenObject(ctx, r.Bucket, r.Key, version)
	if err != nil {
		return nil, err
	}
	obj := reader.Object()
	resp, span, err := h.readResponse(ctx, r, rd, &obj)
	if err != nil || resp.status == http.StatusNotModified || span.Length == 0 {
		if closing := reader.Close(); err == nil && closing != nil {
			return nil, closing
		}
		return resp, err
	}
	resp.stream = func(w io.Writer) error {
		err := copyRange(ctx, w, reader, span)
		if closing := reader.Close(); err == nil {
			return closing
		}
		return err
	}
	return resp, nil
}

// copyRange writes a run of an object's bytes to w.
func copyRange(ctx context.Context, w io.Writer, reader ObjectReader, span conditional.Range) error {
	body, err := reader.Range(ctx, span.Offset, span.Length)
	if err != nil {
		return err
	}
	n, err := io.Copy(w, body)
	if closing := body.Close(); err == nil {
		err = closing
	}
	if err == nil && n != span.Length {
		err = fmt.Errorf("object body ended after %d of %d bytes", n, span.Length)
	}
	return err
}

// headObject serves HeadObject: GetObject without the body.
func (h *handler) headObject(ctx context.Context, r *Request) (*Response, error) {
	rd, err := r.read()
	if err != nil {
		return nil, err
	}
	obj, err := h.object(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, _, err := h.readResponse(ctx, r, rd, &obj)
	return resp, err
}

// read is what a GetObject or HeadObject asks for beside the object itself.
type read struct {
	part     int // the number of a part; 0: not by part
	rng      string
	checksum bool
}

// read reads what is wrong or right whatever the object.
func (r *Request) read() (read, error) {
	rd := read{rng: r.header("Range")}
	if _, ok := r.query["partNumber"]; ok {
		var err error
		if rd.part, err = r.partNumber(); err != nil {
			return rd, err
		}
	}
	if mode := r.header("X-Amz-Checksum-Mode"); mode != "" {
		if rd.checksum = strings.EqualFold(mode, "ENABLED"); !rd.checksum {
			return rd, s3err.New(s3err.InvalidRequest, "Value for x-amz-checksum-mode header is invalid.")
		}
	}
	return rd, nil
}

// object returns the record of the version that a request names.
func (h *handler) object(ctx context.Context, r *Request) (meta.Object, error) {
	version, err := r.versionID()
	if err != nil {
		return meta.Object{}, err
	}
	return h.cfg.Backend.Object(ctx, r.Bucket, r.Key, version)
}

// readResponse evaluates conditions, range, part number and overrides of a read,
// and returns the answer without its body, and the bytes that the body has.
func (h *handler) readResponse(ctx context.Context, r *Request, rd read, obj *meta.Object) (*Response, conditional.Range, error) {
	if err := r.refuseCustomerKey(); err != nil {
		return nil, conditional.Range{}, err
	}
	notModified, err := r.checkRead(obj)
	if err != nil {
		return nil, conditional.Range{}, err
	}
	resp := new(Response)
	if notModified {
		resp.status = http.StatusNotModified
		resp.set("ETag", quoted(obj.ETag))
		resp.set("Last-Modified", httpTime(obj.Modified))
		resp.setOptional("Cache-Control", obj.Headers.CacheControl)
		resp.setOptional("Expires", obj.Headers.Expires)
		resp.setVersion(obj)
		return resp, conditional.Range{}, nil
	}
	span, sum, err := h.span(ctx, r, rd, obj, resp)
	if err != nil {
		return nil, conditional.Range{}, err
	}
	resp.length = span.Length
	resp.setObject(obj)
	if err := h.setPrivileged(ctx, r, resp, obj); err != nil {
		return nil, conditional.Range{}, err
	}
	if rd.checksum {
		resp.setChecksum(sum)
	}
	return resp, span, r.override(resp)
}

// refuseCustomerKey refuses to read with a key what was not encrypted with one.
func (r *Request) refuseCustomerKey() error {
	if r.has("X-Amz-Server-Side-Encryption-Customer-Algorithm") || r.has("X-Amz-Server-Side-Encryption-Customer-Key") {
		return s3err.New(s3err.InvalidRequest, "The encryption parameters are not applicable to this object.")
	}
	return nil
}

// span finds out which bytes a read asks for, with the checksum of exactly those
// where it is known, and sets status and headers accordingly.
func (h *handler) span(ctx context.Context, r *Request, rd read, obj *meta.Object, resp *Response) (conditional.Range, meta.Checksum, error) {
	whole := conditional.Range{Offset: 0, Length: obj.Size}
	switch {
	case rd.part > 0 && rd.rng != "":
		return whole, meta.Checksum{}, s3err.New(s3err.InvalidRequest, "Cannot specify both Range header and partNumber query parameter")
	case rd.part > 0:
		return h.partSpan(ctx, rd.part, obj, resp)
	case rd.rng == "" || !conditional.RangeApplies(r.http.Header, obj.ETag, obj.Modified):
		return whole, obj.Checksum, nil
	}
	span, result := conditional.ParseRange(rd.rng, obj.Size)
	switch result {
	case conditional.Ignored:
		return whole, obj.Checksum, nil
	case conditional.Outside:
		return whole, meta.Checksum{}, invalidRange(rd.rng, obj.Size)
	}
	resp.status = http.StatusPartialContent
	resp.set("Content-Range", span.ContentRange(obj.Size))
	if span == whole {
		return span, obj.Checksum, nil
	}
	return span, meta.Checksum{}, nil
}

// partSpan is the span of a read by part number. An object that was written in
// one piece has one part.
func (h *handler) partSpan(ctx context.Context, number int, obj *meta.Object, resp *Response) (conditional.Range, meta.Checksum, error) {
	whole := conditional.Range{Offset: 0, Length: obj.Size}
	unsatisfiable := s3err.Of(s3err.InvalidPartNumber).
		With("ActualPartCount", strconv.Itoa(max(obj.Parts, 1))).
		With("PartNumberRequested", strconv.Itoa(number))
	if obj.Parts == 0 {
		if number != 1 {
			return whole, meta.Checksum{}, unsatisfiable
		}
		if obj.Size > 0 {
			resp.status = http.StatusPartialContent
			resp.set("Content-Range", whole.ContentRange(obj.Size))
		}
		return whole, obj.Checksum, nil
	}
	parts, err := h.cfg.Backend.ObjectParts(ctx, *obj, number-1, 1)
	if err != nil {
		return whole, meta.Checksum{}, err
	}
	if len(parts) == 0 || parts[0].Number != number {
		return whole, meta.Checksum{}, unsatisfiable
	}
	span := conditional.Range{Offset: parts[0].Offset, Length: parts[0].Size}
	resp.set("x-amz-mp-parts-count", strconv.Itoa(obj.Parts))
	if span.Length > 0 {
		resp.status = http.StatusPartialContent
		resp.set("Content-Range", span.ContentRange(obj.Size))
	}
	sum := parts[0].Checksum
	sum.Type = obj.Checksum.Type // as CreateMultipartUpload was told. Source: AWS GetObject
	return span, sum, nil
}

// partNumber reads the partNumber parameter.
func (r *Request) partNumber() (int, error) {
	s := r.param("partNumber")
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > meta.MaxParts {
		return 0, invalidPartNumber("partNumber", s)
	}
	return n, nil
}

func invalidPartNumber(name, value string) *s3err.Error {
	return s3err.Argument("Part number must be an integer between 1 and 10000, inclusive.", name, value)
}

// setObject sends the headers that describe an object.
func (r *Response) setObject(obj *meta.Object) {
	r.set("ETag", quoted(obj.ETag))
	r.set("Last-Modified", httpTime(obj.Modified))
	r.set("Accept-Ranges", "bytes")
	r.setVersion(obj)
	r.contentType = obj.Headers.ContentType
	if r.contentType == "" {
		r.contentType = defaultContentType
	}
	r.setOptional("Cache-Control", obj.Headers.CacheControl)
	r.setOptional("Content-Disposition", obj.Headers.ContentDisposition)
	r.setOptional("Content-Encoding", obj.Headers.ContentEncoding)
	r.setOptional("Content-Language", obj.Headers.ContentLanguage)
	r.setOptional("Expires", obj.Headers.Expires)
	r.setOptional("x-amz-website-redirect-location", obj.Headers.WebsiteRedirect)
	r.setOptional("x-amz-storage-class", obj.Headers.StorageClass)
	for name, value := range obj.UserMeta {
		r.set("x-amz-meta-"+name, encodeMeta(value))
	}
}

// override applies the response-* parameters, which only signed requests may use.
func (r *Request) override(resp *Response) error {
	if len(r.query) == 0 {
		return nil
	}
	for _, o := range [...]struct{ param, header string }{
		{"response-content-type", "Content-Type"},
		{"response-content-language", "Content-Language"},
		{"response-expires", "Expires"},
		{"response-cache-control", "Cache-Control"},
		{"response-content-disposition", "Content-Disposition"},
		{"response-content-encoding", "Content-Encoding"},
	} {
		values, ok := r.query[o.param]
		if !ok {
			continue
		}
		if r.anonymous() {
			return s3err.New(s3err.InvalidRequest, "Request specific response headers cannot be used for anonymous GET requests.")
		}
		if o.header == "Content-Type" {
			resp.contentType = values[0]
		} else {
			resp.set(o.header, values[0])
		}
	}
	return nil
}

// httpTime writes a time as HTTP headers do: in http.TimeFormat, which Format takes
// apart anew each time.
func httpTime(t time.Time) string {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	if year < 0 || year > 9999 {
		return t.Format(http.TimeFormat)
	}
	b := make([]byte, 0, len(http.TimeFormat))
	b = append(append(b, t.Weekday().String()[:3]...), ',', ' ')
	b = append(append(append2(b, day), ' '), month.String()[:3]...)
	b = append2(append2(append(b, ' '), year/100), year%100)
	b = append(append2(append(b, ' '), hour), ':')
	b = append(append2(b, minute), ':')
	return string(append(append2(b, second), " GMT"...))
}
