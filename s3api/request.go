package s3api

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"

	"tdkvs/s3api/sigv4"
)

// Request is a request on its way through the pipeline: matched, authenticated
// and authorised, its body not yet read.
type Request struct {
	Bucket   string
	Key      string
	Identity Identity

	http  *http.Request
	sent  countingBody // the body of http
	body  io.Reader    // what is read for it
	op    *operation
	query url.Values
	auth  *sigv4.Result
	id    string
	host  string // for the Location of an object

	policies map[string]boundPolicy // by bucket; those that were asked for

	virtual bool // the host names the bucket
}

// header returns a request header; name is in canonical form.
func (r *Request) header(name string) string {
	if v := r.http.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// has reports whether a header was sent, even if empty.
func (r *Request) has(name string) bool { return len(r.http.Header[name]) > 0 }

// param returns a query parameter.
func (r *Request) param(name string) string {
	if v := r.query[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// anonymous reports whether the request carried no credentials.
func (r *Request) anonymous() bool { return r.Identity.AccessKey == "" && !r.Identity.Root }

// Response is what a handler answers. At most one of doc, stream and late is set.
type Response struct {
	status int // 0 means that of the operation's row
	header []headerField
	few    [8]headerField // where header lies as long as there is room
	out    responseWriter // what the answer is sent with

	// doc is an XML body.
	doc *document
	// stream writes a body of length bytes. An error before its first write is
	// answered as an error; one behind it breaks the connection.
	stream func(w io.Writer) error
	length int64
	// contentType is sent with stream and with an empty body, where set.
	contentType string
	// late does the work of the request, which may take long. Its error is
	// answered as an error when it comes soon, and within a 200 when it does not.
	late func(ctx context.Context) (*Response, error)
}

// headerField is a header of an answer, its value in the form that http.Header
// takes.
type headerField struct {
	name  string
	value [1]string
}

// set adds a response header, spelled as AWS spells it: HTTP does not care, but
// people compare. The last value of a name is the one that is sent.
func (r *Response) set(name, value string) {
	if r.header == nil {
		r.header = r.few[:0]
	}
	r.header = append(r.header, headerField{name, [1]string{value}})
}

// setOptional adds a response header unless it is empty.
func (r *Response) setOptional(name, value string) {
	if value != "" {
		r.set(name, value)
	}
}

// quoted returns an ETag in quotes.
func quoted(etag string) string { return `"` + etag + `"` }

// NewRequestID returns 16 upper-case hexadecimal digits, as AWS writes them. An id is no
// secret, so it need not cost a system call.
func NewRequestID() string {
	const digits = "0123456789ABCDEF"
	var id [16]byte
	n := rand.Uint64()
	for i := range id {
		id[i] = digits[n>>60]
		n <<= 4
	}
	return string(id[:])
}

// body returns the body of an XML answer without its header, which a late
// answer has sent before.
func (d *document) body() []byte { return bytes.TrimPrefix(d.b, []byte(xmlHeader)) }
