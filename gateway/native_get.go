package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"tdkvs/master/meta"
	"tdkvs/s3api"
	"tdkvs/s3api/conditional"
)

// get serves GET and HEAD of a key, with conditions and a range.
func (g *gateway) get(w http.ResponseWriter, r *nativeRequest) error {
	ctx := r.Context()
	if r.Method == http.MethodHead {
		obj, err := g.cfg.Store.Object(ctx, Bucket, r.key, "")
		if err != nil {
			return err
		}
		a, err := answerTo(r.Header, &obj)
		if err != nil {
			return err
		}
		a.begin(w)
		return nil
	}
	reader, err := g.cfg.Store.OpenObject(ctx, Bucket, r.key, "")
	if err != nil {
		return err
	}
	obj := reader.Object()
	a, err := answerTo(r.Header, &obj)
	if err == nil {
		err = a.send(ctx, w, reader)
	}
	if closing := reader.Close(); err == nil {
		err = closing
	}
	if err == nil || !a.begun {
		return err
	}
	// Part of the value was sent: the client must not take it for the whole.
	s3api.InfoOf(w).Err = err
	panic(http.ErrAbortHandler)
}

// answer is what a read gives: status, headers and a run of the value's bytes.
type answer struct {
	status int
	header http.Header
	span   conditional.Range
	begun  bool
}

// answerTo evaluates a read's conditions and range against an object.
func answerTo(h http.Header, obj *meta.Object) (*answer, error) {
	etag, modified := `"`+obj.ETag+`"`, obj.Modified.Truncate(time.Second)
	a := &answer{status: http.StatusOK, header: http.Header{
		"Etag":          {etag},
		"Last-Modified": {modified.UTC().Format(http.TimeFormat)},
		"Accept-Ranges": {"bytes"},
	}}
	a.set("Cache-Control", obj.Headers.CacheControl)
	a.set("Expires", obj.Headers.Expires)
	switch result, _ := conditional.Standard().Evaluate(h, obj.ETag, modified); result {
	case conditional.Failed:
		return a, &failure{status: http.StatusPreconditionFailed, message: "the condition of the request does not hold"}
	case conditional.Unchanged:
		a.status = http.StatusNotModified
		return a, nil
	}
	a.span = conditional.Range{Offset: 0, Length: obj.Size}
	if header := h.Get("Range"); header != "" && conditional.RangeApplies(h, obj.ETag, modified) {
		switch span, result := conditional.ParseRange(header, obj.Size); result {
		case conditional.Satisfiable:
			a.status, a.span = http.StatusPartialContent, span
			a.set("Content-Range", span.ContentRange(obj.Size))
		case conditional.Outside:
			return a, &failure{status: http.StatusRequestedRangeNotSatisfiable, message: fmt.Sprintf("the range lies outside the value, which has %d bytes", obj.Size),
				header: http.Header{"Content-Range": {fmt.Sprintf("bytes */%d", obj.Size)}}}
		}
	}
	contentType := obj.Headers.ContentType
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	a.set("Content-Type", contentType)
	a.set("X-Content-Type-Options", "nosniff")
	a.set("Content-Encoding", obj.Headers.ContentEncoding)
	a.set("Content-Language", obj.Headers.ContentLanguage)
	a.set("Content-Disposition", obj.Headers.ContentDisposition)
	a.set("Content-Length", strconv.FormatInt(a.span.Length, 10))
	return a, nil
}

func (a *answer) set(name, value string) {
	if value != "" {
		a.header[name] = []string{value}
	}
}

// begin sends status and headers.
func (a *answer) begin(w http.ResponseWriter) {
	if a.begun {
		return
	}
	a.begun = true
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
}

// send sends the answer. Its status goes out with the first byte, so that a
// value which can not be read at all is still an error of its own.
func (a *answer) send(ctx context.Context, w http.ResponseWriter, reader s3api.ObjectReader) error {
	if a.status == http.StatusNotModified || a.span.Length == 0 {
		a.begin(w)
		return nil
	}
	body, err := reader.Range(ctx, a.span.Offset, a.span.Length)
	if err != nil {
		return err
	}
	n, err := io.Copy(&beginner{w: w, answer: a}, body)
	if closing := body.Close(); err == nil {
		err = closing
	}
	if err == nil && n != a.span.Length {
		err = fmt.Errorf("value ended after %d of %d bytes", n, a.span.Length)
	}
	return err
}

// beginner begins an answer with the first byte of its body.
type beginner struct {
	w      http.ResponseWriter
	answer *answer
}

func (b *beginner) Write(p []byte) (int, error) {
	b.answer.begin(b.w)
	return b.w.Write(p)
}
