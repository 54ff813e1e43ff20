package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/url"
	"strconv"
	"time"
)

// Bounds of one request.
const (
	requestTimeout = time.Minute
	headBuffer     = 32 << 10  // of an answer; a small body comes with its head in one read
	scratchSize    = 256 << 10 // what one read of a large body takes
	maxKept        = 16 << 20  // of a document that is kept whole
	oneWrite       = 32 << 10  // a body up to this is copied behind its head, for a single write
)

// call is a request.
type call struct {
	method  string
	path    []byte   // escaped
	query   []byte   // escaped, its parameters in order
	headers string   // further lines, each with its end
	body    [][]byte // pieces
	length  int64    // of the body
	payload string   // hash of the body, or unsignedPayload
}

// answer is the head of what came back, and a document where it was kept.
type answer struct {
	status int
	length int64  // as announced; -1: not
	etag   []byte // as sent, with its quotes
	kept   []byte // the body, where nobody took it; good until the next call
}

// taker takes a body as it is read.
type taker interface{ take(p []byte) error }

// conn is one persistent connection. It belongs to one goroutine.
type conn struct {
	url  *url.URL
	sign signer

	net     net.Conn // nil: not connected
	in      *bufio.Reader
	limit   time.Time // of the deadline that is set
	out     []byte
	scratch []byte
	kept    []byte
	etag    []byte
}

func newConn(e Endpoint, u *url.URL) *conn {
	return &conn{
		url:     u,
		sign:    signer{access: e.AccessKey, secret: e.SecretKey, region: e.Region, host: u.Host},
		in:      bufio.NewReaderSize(nil, headBuffer),
		scratch: make([]byte, scratchSize),
	}
}

// dial connects, where that is not so yet.
func (c *conn) dial(ctx context.Context) error {
	if c.net != nil {
		return nil
	}
	port := c.url.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[c.url.Scheme]
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	address := net.JoinHostPort(c.url.Hostname(), port)
	var err error
	if c.url.Scheme == "https" {
		c.net, err = new(tls.Dialer).DialContext(ctx, "tcp", address)
	} else {
		c.net, err = new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	if err != nil {
		c.net = nil
		return &failure{kind: noConnection, cause: err}
	}
	c.in.Reset(c.net)
	c.limit = time.Time{}
	return nil
}

func (c *conn) close() {
	if c.net != nil {
		_ = c.net.Close() // whatever it says, nothing more is expected of it
		c.net = nil
	}
}

// do sends a request and reads its answer. Where taker is not nil it takes the
// body of a success; every other body is kept. A status that is no success is a
// *failure. After any error but that the connection is closed.
func (c *conn) do(ctx context.Context, r *call, taker taker) (answer, error) {
	a, err := c.exchange(ctx, r, taker)
	if err != nil && !lasting(err) {
		c.close()
	}
	return a, err
}

func (c *conn) exchange(ctx context.Context, r *call, taker taker) (answer, error) {
	if err := c.dial(ctx); err != nil {
		return answer{}, err
	}
	now := time.Now()
	if c.limit.Sub(now) < requestTimeout-time.Second { // not before each one: it costs
		c.limit = now.Add(requestTimeout)
		if err := c.net.SetDeadline(c.limit); err != nil {
			return answer{}, broken(err)
		}
	}
	sent := c.send(r, now)
	a, err := c.receive(r.method, taker)
	var f *failure
	switch {
	case sent == nil, errors.As(err, &f) && f.status != 0:
		// An endpoint may refuse a body before it was sent whole.
		if sent != nil {
			c.close()
		}
		return a, err
	default:
		return a, broken(sent)
	}
}

func (c *conn) send(r *call, now time.Time) error {
	out := append(c.out[:0], r.method...)
	out = append(append(out, ' '), r.path...)
	if len(r.query) > 0 {
		out = append(append(out, '?'), r.query...)
	}
	out = append(append(out, " HTTP/1.1\r\nHost: "...), c.url.Host...)
	out = append(append(out, "\r\nUser-Agent: tdkvs-bench\r\n"...), r.headers...)
	if r.length > 0 || r.method == methodPut || r.method == methodPost {
		out = append(strconv.AppendInt(append(out, "Content-Length: "...), r.length, 10), "\r\n"...)
	}
	out = append(c.sign.append(out, now, r.method, r.path, r.query, r.payload), "\r\n"...)
	if r.length <= oneWrite {
		for _, piece := range r.body {
			out = append(out, piece...)
		}
		c.out = out
		_, err := c.net.Write(out)
		return err
	}
	c.out = out
	buffers := append(net.Buffers{out}, r.body...)
	_, err := buffers.WriteTo(c.net) // writev
	return err
}

const (
	methodGet    = "GET"
	methodHead   = "HEAD"
	methodPut    = "PUT"
	methodPost   = "POST"
	methodDelete = "DELETE"
)

// head is what an answer says of itself.
type head struct {
	answer
	chunked, last bool // last: the connection ends behind it
}

func (c *conn) receive(method string, taker taker) (answer, error) {
	h, err := c.readHead()
	for err == nil && h.status/100 == 1 {
		h, err = c.readHead()
	}
	if err != nil {
		return answer{}, err
	}
	good := h.status/100 == 2
	without := method == methodHead || h.status == 204 || h.status == 304 // a body
	if h.last || !without && !h.chunked && h.length < 0 {
		defer c.close()
	}
	if without {
		if !good {
			return h.answer, answered(h.status, nil)
		}
		return h.answer, nil
	}
	c.kept = c.kept[:0]
	if !good || taker == nil {
		taker = c
	}
	if err := c.readBody(h, taker); err != nil {
		return h.answer, err
	}
	h.kept = c.kept
	if !good {
		return h.answer, answered(h.status, h.kept)
	}
	return h.answer, nil
}

// take keeps a body.
func (c *conn) take(p []byte) error {
	if len(c.kept)+len(p) > maxKept {
		return &failure{kind: wrongLength, cause: fmt.Errorf("a document of more than %d bytes", maxKept)}
	}
	c.kept = append(c.kept, p...)
	return nil
}

func (c *conn) readHead() (head, error) {
	h := head{answer: answer{length: -1}}
	line, err := c.line()
	if err != nil {
		return h, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return h, &failure{kind: notHTTP, cause: fmt.Errorf("%.40q", line)}
	}
	h.last = line[7] == '0'
	if h.status = int(decimal(line[9:12])); h.status < 100 {
		return h, &failure{kind: notHTTP, cause: fmt.Errorf("%.40q", line)}
	}
	for {
		line, err := c.line()
		if err != nil {
			return h, err
		}
		if len(line) == 0 {
			return h, nil
		}
		if err := c.header(&h, line); err != nil {
			return h, err
		}
	}
}

// header reads the few headers that matter, told apart by their length first.
func (c *conn) header(h *head, line []byte) error {
	name, value, found := bytes.Cut(line, []byte{':'})
	if !found {
		return &failure{kind: notHTTP, cause: fmt.Errorf("%.40q", line)}
	}
	value = bytes.TrimSpace(value)
	switch {
	case len(name) == 4 && bytes.EqualFold(name, []byte("Etag")):
		c.etag = append(c.etag[:0], value...)
		h.etag = c.etag
	case len(name) == 10 && bytes.EqualFold(name, []byte("Connection")):
		h.last = bytes.EqualFold(value, []byte("close"))
	case len(name) == 14 && bytes.EqualFold(name, []byte("Content-Length")):
		if h.length = decimal(value); h.length < 0 {
			return &failure{kind: notHTTP, cause: fmt.Errorf("%.40q", line)}
		}
	case len(name) == 17 && bytes.EqualFold(name, []byte("Transfer-Encoding")):
		h.chunked = bytes.EqualFold(value, []byte("chunked"))
	}
	return nil
}

// decimal reads a number; what is none is -1.
func decimal(text []byte) int64 {
	n := int64(0)
	for _, c := range text {
		if c < '0' || c > '9' || n > 1<<55 {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	if len(text) == 0 {
		return -1
	}
	return n
}

// line reads one line of a head, without its end.
func (c *conn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, &failure{kind: notHTTP, cause: errors.New("a header line without end")}
	}
	if err != nil {
		return nil, broken(err)
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// readBody hands a body over, and checks that it is as long as was announced.
func (c *conn) readBody(h head, to taker) error {
	var from io.Reader = c.in
	left := h.length
	if h.chunked {
		from, left = httputil.NewChunkedReader(c.in), -1
	}
	for left != 0 {
		p := c.scratch
		if left > 0 && left < int64(len(p)) {
			p = p[:left]
		}
		n, err := from.Read(p)
		if taken := to.take(p[:n]); taken != nil {
			return taken
		}
		if left > 0 {
			left -= int64(n)
		}
		if errors.Is(err, io.EOF) && left <= 0 {
			break
		}
		if err != nil {
			return broken(err)
		}
	}
	if !h.chunked {
		return nil
	}
	for { // the trailer, and the empty line behind it
		line, err := c.line()
		if err != nil || len(line) == 0 {
			return err
		}
	}
}
