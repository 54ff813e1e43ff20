package s3api

import (
	"errors"
	"io"
	"net/http"

	"tdkvs/master/meta"
	"tdkvs/s3api/checksum"
	"tdkvs/s3api/s3err"
	"tdkvs/s3api/sigv4"
)

// payload is a request body: unframed, its signature and digests checked while
// it is read. It is a meta.Payload.
type payload struct {
	*checksum.Payload
	body *sigv4.Body
}

// Close gives buffers back. The connection's body stays the server's.
func (p *payload) Close() {
	_ = p.Payload.Close() // closing a body that is read can not fail
	_ = p.body.Close()
}

// openPayload prepares the body of a request for reading. store is the checksum
// that its digests report; spec is what the client wants checked.
func (r *Request) openPayload(spec checksum.Spec, store checksum.Algorithm, limit int64) *payload {
	body := r.auth.Body(r.body)
	var src io.Reader = body
	if r.auth.Size < 0 {
		src = &limitedBody{Body: body, left: limit}
	}
	return &payload{body: body, Payload: checksum.NewPayload(src, checksum.Config{
		Size: r.auth.Size, Spec: spec, Store: store, SHA256: r.auth.SHA256,
	})}
}

// limitedBody bounds a body whose length the client did not say.
type limitedBody struct {
	*sigv4.Body
	left int64
}

// Read fails with EntityTooLarge once the body has passed its limit.
func (l *limitedBody) Read(b []byte) (int, error) {
	n, err := l.Body.Read(b)
	if l.left -= int64(n); l.left < 0 {
		return 0, tooLarge(meta.MaxPutSize + 1)
	}
	return n, err
}

// checkLength checks the announced length of a body of object data. A body of
// unknown length is taken when it comes in HTTP chunks.
func (r *Request) checkLength() error {
	switch {
	case r.auth.Size > meta.MaxPutSize:
		return tooLarge(r.auth.Size)
	case r.auth.Size == 0 && r.http.ContentLength == 0 && !r.has("Content-Length") && r.http.ProtoMajor < 2:
		return s3err.Of(s3err.MissingContentLength)
	}
	return nil
}

// digest says what integrity a document's body must prove.
type digest uint8

const (
	digestOptional digest = iota
	digestRequired        // a Content-MD5 or a checksum
	digestMD5             // checksum headers, where there are some, are not of the body
)

// readXML decodes the XML body of a request and verifies all of it before it
// returns. empty is true when there was none.
func (h *handler) readXML(r *Request, need digest, root string, decode func(x *reader) error) (empty bool, err error) {
	header := r.http.Header
	if need == digestMD5 {
		header = http.Header{}
		if sent, ok := r.http.Header["Content-Md5"]; ok {
			header["Content-Md5"] = sent
		}
	}
	spec, err := checksum.ParseHeader(header)
	if err != nil {
		return false, err
	}
	if need == digestRequired {
		if err := spec.Required(); err != nil {
			return false, err
		}
	}
	if r.auth.Size > r.op.limit {
		return false, tooLong()
	}
	p := r.openPayload(spec, checksum.None, r.op.limit)
	defer p.Close()
	bounded := &boundedReader{r: p, left: r.op.limit}
	x := newReader(bounded)
	empty, err = x.document(root, func() error { return decode(x) })
	if s3err.CodeOf(err) != s3err.MalformedXML {
		return empty, err
	}
	// A body that was damaged on its way is more likely a bad digest than bad XML.
	if _, drained := io.Copy(io.Discard, bounded); drained != nil {
		return false, drained
	}
	return false, err
}

// readDocument is readXML for a document that must be there.
func (h *handler) readDocument(r *Request, need digest, root string, decode func(x *reader) error) error {
	empty, err := h.readXML(r, need, root, decode)
	if err == nil && empty {
		return s3err.Of(s3err.MissingRequestBodyError)
	}
	return err
}

// boundedReader refuses a document that is longer than its limit.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLong()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return n, err
}

func tooLong() *s3err.Error { return s3err.Of(s3err.MaxMessageLengthExceeded) }
