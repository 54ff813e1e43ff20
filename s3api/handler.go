package s3api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"tdkvs/s3api/s3err"
	"tdkvs/s3api/sigv4"
)

// handler serves all S3 requests. Its fields are set once, by NewHandler.
type handler struct {
	cfg      Config
	router   *router
	verifier *sigv4.Verifier
	pages    sync.Pool // of *document, for listings
	hostID   []string  // value of x-amz-id-2, which nobody changes
}

// NewHandler returns the handler of all S3 requests. Mount it with paths
// uncleaned: keys such as "a//b" and "../x" are real. It uses the request id
// that it finds in the response header X-Amz-Request-Id, and sets one where
// there is none; where the ResponseWriter is a Recorder it fills in its RequestInfo.
//
// When stored bytes turn out bad in the middle of a body, the handler panics
// with http.ErrAbortHandler, which breaks the connection: a client must never
// take a part for the whole. Whatever wraps the handler must let that pass.
//
// NewHandler panics when cfg lacks a Backend, or Credentials without being Open:
// both are mistakes of the program, not of its input.
func NewHandler(cfg Config) http.Handler {
	if cfg.Backend == nil || cfg.Credentials == nil && !cfg.Open {
		panic("s3api: Config needs a Backend, and Credentials or Open")
	}
	cfg = cfg.withDefaults()
	rt, err := newRouter(operations())
	if err != nil {
		panic(err)
	}
	h := &handler{cfg: cfg, router: rt, hostID: []string{cfg.HostID}}
	h.verifier = &sigv4.Verifier{Region: cfg.Region, Now: cfg.Now, Secrets: h.secret}
	h.pages.New = func() any { return new(document) }
	return h
}

// ServeHTTP takes a request through the pipeline: match, CORS, authenticate,
// authorise, handle (which reads the body), write, record.
func (h *handler) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	info := InfoOf(w)
	header := w.Header()
	req := &Request{http: hr, host: hr.Host, sent: countingBody{hr.Body, &info.BytesIn}}
	if id := header["X-Amz-Request-Id"]; len(id) > 0 && id[0] != "" {
		req.id = id[0]
	} else {
		req.id = NewRequestID()
		header["x-amz-request-id"] = []string{req.id}
	}
	header["x-amz-id-2"] = h.hostID
	req.body = &req.sent
	if hr.Body == nil {
		req.body = http.NoBody
	}
	resp, err := h.serve(hr.Context(), header, req)
	info.Bucket, info.Key, info.AccessKey = req.Bucket, req.Key, req.Identity.AccessKey
	if req.op != nil {
		info.Operation = req.op.name
	}
	if err == nil {
		err = h.write(w, req, resp, info)
	}
	if err != nil {
		h.fail(w, req, err, info)
	}
}

// fail answers with an error and records it.
func (h *handler) fail(w http.ResponseWriter, req *Request, err error, info *RequestInfo) {
	e := classify(err, req)
	h.record(req, e, err, info)
	info.Status = e.Status
	info.BytesOut += int64(h.writeError(w, req.http, req, e))
}

// record notes an error for the front end, and logs one that is our own fault.
func (h *handler) record(req *Request, e *s3err.Error, err error, info *RequestInfo) {
	info.ErrorCode, info.Err = e.Code, err
	if e.Status >= 500 && e.Status != http.StatusNotImplemented {
		h.cfg.Logger.LogAttrs(req.http.Context(), slog.LevelError, "request failed",
			slog.String("request_id", req.id), slog.String("operation", info.Operation), slog.String("code", e.Code),
			slog.String("bucket", req.Bucket), slog.String("key", req.Key), slog.String("error", firstLine(err.Error())))
	}
}

// serve runs the pipeline up to the handler's answer. header is that of the
// answer, whether it succeeds or not.
func (h *handler) serve(ctx context.Context, header http.Header, req *Request) (*Response, error) {
	err := h.match(req)
	if granted := h.crossOrigin(ctx, header, req); err == nil {
		err = granted
	}
	if err != nil {
		return nil, err
	}
	if err := h.admit(ctx, req); err != nil {
		return nil, err
	}
	if err := h.checkOwner(req, "X-Amz-Expected-Bucket-Owner"); err != nil {
		return nil, err
	}
	if err := req.refuseVersionID(); err != nil {
		return nil, err
	}
	if req.op.handle == nil {
		return nil, s3err.New(s3err.NotImplemented, "The operation "+req.op.name+" is not implemented.")
	}
	resp, err := h.call(ctx, req, req.op.handle)
	return resp, h.hideMissing(ctx, req, err)
}

// call runs a handler; a panic is an internal error of this request alone.
func (h *handler) call(ctx context.Context, req *Request, handle handlerFunc) (resp *Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			resp, err = nil, fmt.Errorf("panic in %s: %v", req.op.name, v)
			h.cfg.Logger.LogAttrs(ctx, slog.LevelError, "panic", slog.String("request_id", req.id), slog.String("stack", string(debug.Stack())))
		}
	}()
	return handle(h, ctx, req)
}

// match finds the target and the row of a request.
func (h *handler) match(req *Request) error {
	hr := req.http
	t, err := parseTarget(hr.Host, hr.URL.EscapedPath(), h.cfg.Domains)
	if err != nil {
		return err
	}
	req.Bucket, req.Key, req.virtual = t.bucket, t.key, t.virtual
	if hr.URL.RawQuery != "" {
		if req.query, err = url.ParseQuery(hr.URL.RawQuery); err != nil {
			return s3err.Of(s3err.InvalidURI).Wrap(err)
		}
	}
	req.op, err = h.router.match(hr.Method, t.scope, req.query, hr.Header)
	return err
}

// write sends a handler's answer. An error that it returns has sent nothing yet.
func (h *handler) write(w http.ResponseWriter, req *Request, resp *Response, info *RequestInfo) error {
	if resp.late != nil {
		return h.writeLate(w, req, resp, info)
	}
	return h.writeNow(w, req, resp, info)
}

// writeNow sends an answer that is ready.
func (h *handler) writeNow(w http.ResponseWriter, req *Request, resp *Response, info *RequestInfo) error {
	status := resp.status
	if status == 0 {
		status = req.op.status
	}
	if status == 0 {
		status = http.StatusOK
	}
	out := &resp.out
	*out = responseWriter{w: w, resp: resp, status: status, written: &info.BytesOut}
	switch {
	case resp.doc != nil:
		defer h.release(resp.doc)
		out.contentType, out.length = "application/xml", int64(len(resp.doc.b))
		_, _ = out.Write(resp.doc.b) // the client is gone when this fails
	case resp.stream != nil && req.http.Method != http.MethodHead:
		out.contentType, out.length = resp.contentType, resp.length
		if err := resp.stream(out); err != nil {
			return h.broken(req, out, err, info)
		}
		out.begin()
	default:
		out.contentType, out.length = resp.contentType, resp.length
		out.begin()
	}
	info.Status = status
	return nil
}

// broken ends an answer whose body failed: as an error where nothing of it was
// sent, and otherwise by breaking the connection.
func (h *handler) broken(req *Request, out *responseWriter, err error, info *RequestInfo) error {
	if !out.begun {
		return err
	}
	info.Status = out.status
	var failed *writeError
	if errors.As(err, &failed) { // the client went away, and the connection with it
		info.Err = err
		return nil
	}
	h.record(req, classify(err, req), err, info)
	panic(http.ErrAbortHandler)
}

// responseWriter sends status and headers with the first byte of the body.
type responseWriter struct {
	w           http.ResponseWriter
	resp        *Response
	status      int
	contentType string
	length      int64
	begun       bool
	written     *int64
}

// writeError is an error of the connection to the client, as opposed to one of
// the body's source.
type writeError struct{ err error }

func (e *writeError) Error() string { return "write to client: " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// begin sends status and headers.
func (o *responseWriter) begin() {
	if o.begun {
		return
	}
	o.begun = true
	if o.contentType != "" {
		o.resp.set("Content-Type", o.contentType)
	}
	if o.status != http.StatusNoContent && o.status != http.StatusNotModified {
		o.resp.set("Content-Length", strconv.FormatInt(o.length, 10))
	}
	header := o.w.Header()
	for i := range o.resp.header {
		field := &o.resp.header[i]
		header[field.name] = field.value[:]
	}
	o.w.WriteHeader(o.status)
}

// Write sends a piece of the body.
func (o *responseWriter) Write(b []byte) (int, error) {
	o.begin()
	n, err := o.w.Write(b)
	*o.written += int64(n)
	if err != nil {
		return n, &writeError{err}
	}
	return n, nil
}

// release gives a listing's buffer back.
func (h *handler) release(d *document) {
	if cap(d.b) < 64<<10 || cap(d.b) > 2<<20 {
		return
	}
	d.b = d.b[:0]
	h.pages.Put(d)
}

// page returns an empty document for a listing.
func (h *handler) page() *document { return h.pages.Get().(*document) }

// countingBody counts the bytes of a request body, and names its errors.
type countingBody struct {
	r io.Reader
	n *int64
}

func (c *countingBody) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	*c.n += int64(n)
	return n, bodyError(err)
}

// bodyError puts an error of reading a request into S3's words, before a layer
// below can take it for a failure of the store: a client that is too slow is
// RequestTimeout; one that goes away or breaks HTTP's framing is IncompleteBody.
func bodyError(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	var netErr net.Error
	if errors.As(err, &netErr) && netErr.Timeout() {
		return s3err.Of(s3err.RequestTimeout).Wrap(err)
	}
	return s3err.Of(s3err.IncompleteBody).Wrap(err)
}

// location is the URL of an object, as CompleteMultipartUpload reports it.
func (r *Request) location() string {
	scheme := "http"
	if r.http.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.host + "/" + strings.TrimPrefix(r.http.URL.EscapedPath(), "/")
}
