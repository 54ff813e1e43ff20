package gateway

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"tdkvs/master/meta"
	"tdkvs/s3api/checksum"
	"tdkvs/s3api/conditional"
	"tdkvs/s3api/sigv4"
)

// set serves PUT of a key. The value may be empty, and of unknown length.
func (g *gateway) set(w http.ResponseWriter, r *nativeRequest) error {
	condition, err := writeCondition(r.Header)
	if err != nil {
		return err
	}
	spec, err := checksum.ParseHeader(r.Header)
	if err != nil {
		return err
	}
	size, hash, body, err := r.body()
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // gives buffers back
	if size > meta.MaxPutSize {
		return errTooLarge()
	}
	payload := checksum.NewPayload(&limited{r: body, left: meta.MaxPutSize}, checksum.Config{Size: size, Spec: spec, SHA256: hash})
	defer func() { _ = payload.Close() }() // gives buffers back
	if err := g.ensureBucket(r.Context()); err != nil {
		return err
	}
	obj, err := g.cfg.Store.PutObject(r.Context(), meta.PutRequest{
		Bucket: Bucket, Key: r.key, Owner: r.caller.identity.UserID, Size: size,
		Attributes: meta.Attributes{Headers: storedHeaders(r.Header)}, Precondition: condition,
	}, payload)
	if meta.KindOf(err) == meta.KindNoSuchBucket {
		// Somebody deleted it this very moment.
		return &failure{status: http.StatusConflict, message: "the bucket of native keys was deleted at the same time; try again", err: err}
	}
	if err != nil {
		return err
	}
	w.Header().Set("ETag", `"`+obj.ETag+`"`)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return nil
}

// body returns the body without framing, with its length (-1: unknown) and the
// SHA-256 that it must have, where the request is signed and says so.
func (r *nativeRequest) body() (size int64, hash string, body io.ReadCloser, err error) {
	if res := r.caller.signed; res != nil {
		return res.Size, res.SHA256, res.Body(r.Body), nil
	}
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return 0, "", nil, &failure{status: http.StatusBadRequest, message: "a body in chunks of the AWS kind needs a request with an AWS signature"}
	}
	return r.ContentLength, "", io.NopCloser(r.Body), nil
}

// limited fails, instead of ending, where a body of unknown length is too long.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	if l.left < 0 {
		return 0, errTooLarge()
	}
	return n, brokenBody(err)
}

// brokenBody tells an error of reading a request from one of the store. Those
// that others have a name for stay as they are.
func brokenBody(err error) error {
	var named *sigv4.Error
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &named) {
		return err
	}
	return &failure{status: http.StatusBadRequest, message: "the body broke off, or came in malformed HTTP chunks", err: err}
}

// Trailer hands on what a framed body has in its trailer.
func (l *limited) Trailer(name string) (string, bool) {
	if t, ok := l.r.(checksum.Trailers); ok {
		return t.Trailer(name)
	}
	return "", false
}

func errTooLarge() error {
	return &failure{status: http.StatusRequestEntityTooLarge, message: "the value is larger than 5 GiB"}
}

// storedHeaders are the headers that come back with the value. The type of a
// form is what curl -d sends when nobody asked it to: it says nothing.
func storedHeaders(h http.Header) meta.Headers {
	stored := meta.Headers{
		ContentType:        h.Get("Content-Type"),
		CacheControl:       h.Get("Cache-Control"),
		ContentEncoding:    sigv4.ContentEncoding(h.Get("Content-Encoding")),
		ContentDisposition: h.Get("Content-Disposition"),
		ContentLanguage:    h.Get("Content-Language"),
		Expires:            h.Get("Expires"),
	}
	if t, _, err := mime.ParseMediaType(stored.ContentType); err == nil && t == "application/x-www-form-urlencoded" {
		stored.ContentType = ""
	}
	return stored
}

// writeCondition reads If-Match and If-None-Match of a write: one ETag, or "*".
func writeCondition(h http.Header) (meta.Precondition, error) {
	var p meta.Precondition
	for _, c := range [...]struct {
		name string
		to   *string
	}{{"If-Match", &p.IfMatch}, {"If-None-Match", &p.IfNoneMatch}} {
		values := h.Values(c.name)
		if len(values) == 0 {
			continue
		}
		v := strings.TrimSpace(values[0])
		if len(values) > 1 || v == "" || strings.HasPrefix(v, "W/") || strings.Contains(v, ",") {
			return p, &failure{status: http.StatusBadRequest, message: c.name + " takes one ETag, or *, in a write"}
		}
		if strings.Contains(conditional.Unquote(v), `"`) { // RFC 9110, 8.8.3
			return p, &failure{status: http.StatusBadRequest, message: c.name + ": a quotation mark is part of no ETag"}
		}
		*c.to = conditional.Named(v)
	}
	for _, name := range [...]string{"If-Modified-Since", "If-Unmodified-Since"} {
		if h.Get(name) != "" {
			return p, &failure{status: http.StatusBadRequest, message: name + " does not apply to a write; use If-Match"}
		}
	}
	return p, nil
}

// ensureBucket makes the bucket of native keys when it is first needed.
func (g *gateway) ensureBucket(ctx context.Context) error {
	_, err := g.cfg.Store.Bucket(ctx, Bucket)
	if meta.KindOf(err) != meta.KindNoSuchBucket {
		return err
	}
	err = g.cfg.Store.CreateBucket(ctx, meta.Bucket{Name: Bucket, Created: g.cfg.Now(), Owner: g.cfg.Owner, Region: g.cfg.Region})
	if errors.Is(err, &meta.Error{Kind: meta.KindBucketExists}) {
		return nil // somebody was faster
	}
	return err
}
