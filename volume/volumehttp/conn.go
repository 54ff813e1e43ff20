package volumehttp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"tdkvs/volume"
)

// connBuffer is what is read ahead from a connection, in bytes: the head of an answer,
// and all of the answer to a read of a small blob.
const connBuffer = 8 << 10

// runBlocks is how many blocks are written at once, where they are in memory.
const runBlocks = 4

// runParts are the parts of a write: these blocks with their headers, what is before
// them, and the end.
const runParts = 1 + 2*runBlocks + 1

// conn is a connection between a client and a volume, at either end of it. Who has a
// request to make, or to serve, reads and writes it: no other goroutine stands between.
// Who holds it owns all of it.
type conn struct {
	net.Conn
	in    *bufio.Reader
	out   []byte           // the head of the request
	parts [runParts][]byte // room for rest
	rest  net.Buffers      // what is written at once
	used  bool             // it has served a call before
	kept  time.Time        // when it was laid aside

	readUntil, writeUntil time.Time // the deadlines that are set
}

func newConn(c net.Conn) *conn { return &conn{Conn: c, in: bufio.NewReaderSize(c, connBuffer)} }

// allow gives the other side time for what it is to send or to accept next: limit, and
// up to an eighth more, so that deadlines are seldom set.
func (c *conn) allow(limit time.Duration) {
	c.allowRead(limit)
	c.allowWrite(limit)
}

func (c *conn) allowRead(limit time.Duration) {
	if until, ok := later(c.readUntil, limit); ok {
		c.readUntil = until
		_ = c.SetReadDeadline(until) // on a closed connection what follows fails, too
	}
}

func (c *conn) allowWrite(limit time.Duration) {
	if until, ok := later(c.writeUntil, limit); ok {
		c.writeUntil = until
		_ = c.SetWriteDeadline(until)
	}
}

// later is the deadline to be set in place of one that is too near or too far.
func later(until time.Time, limit time.Duration) (time.Time, bool) {
	now := time.Now()
	left := until.Sub(now)
	return now.Add(limit + limit/8), left < limit || left > limit+limit/8
}

// abort ends whatever the call that uses the connection is doing with it. It may
// be called by anyone.
func (c *conn) abort() { _ = c.Close() }

// write sends bytes with one system call.
func (c *conn) write(parts ...[]byte) error {
	switch len(parts) {
	case 0:
		return nil
	case 1:
		_, err := c.Write(parts[0])
		return err
	}
	c.rest = append(c.parts[:0], parts...)
	_, err := c.rest.WriteTo(c.Conn)
	return err
}

// answerHead is the head of an answer.
type answerHead struct {
	status   int
	length   int64 // of the body; -1: it comes in chunks
	closing  bool  // nothing follows on this connection
	protocol string
	volume   string
	checksum string // of a message
}

// readHead reads the head of an answer, or of a sign of life before it. known is what a
// volume is expected to call itself.
func (c *conn) readHead(known string) (answerHead, error) {
	b, err := c.head()
	if err != nil {
		return answerHead{}, err
	}
	h, err := parseHead(b, known)
	c.forget(b)
	return h, err
}

// head returns the next head, up to its empty line, when all of it is there.
func (c *conn) head() ([]byte, error) {
	for {
		there, _ := c.in.Peek(c.in.Buffered()) // can not fail
		if end := bytes.Index(there, []byte("\r\n\r\n")); end >= 0 {
			return there[:end+2], nil
		}
		if len(there) == c.in.Size() {
			return nil, fmt.Errorf("a head of more than %d bytes", len(there))
		}
		if _, err := c.in.Peek(len(there) + 1); err != nil {
			return nil, cut(err)
		}
	}
}

// forget passes over a head that was looked at.
func (c *conn) forget(head []byte) { _, _ = c.in.Discard(len(head) + 2) } // these bytes are there

var errMalformed = errors.New("malformed answer")

// parseHead takes the head of an HTTP/1.1 answer apart (RFC 9112), of which each line
// ends in CRLF.
func parseHead(b []byte, known string) (answerHead, error) {
	h := answerHead{length: -2}
	line, rest, _ := bytes.Cut(b, []byte("\r\n"))
	status, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(status) < 3 || len(status) > 3 && status[3] != ' ' {
		return h, fmt.Errorf("%w: %.40q", errMalformed, line)
	}
	n, err := strconv.ParseUint(string(status[:3]), 10, 16)
	if err != nil || n < 100 {
		return h, fmt.Errorf("%w: status %q", errMalformed, status[:3])
	}
	h.status = int(n)
	for len(rest) > 0 {
		var name, value []byte
		if name, value, rest, ok = cutField(rest); !ok {
			return h, fmt.Errorf("%w: %.40q", errMalformed, name)
		}
		if err := h.field(name, value, known); err != nil {
			return h, err
		}
	}
	switch {
	case h.status < 200 || h.status == 204 || h.status == 304:
		h.length = 0
	case h.length == -2:
		return h, fmt.Errorf("%w: a body without a length", errMalformed)
	}
	return h, nil
}

// field takes one header field. What is of no concern is passed over.
func (h *answerHead) field(name, value []byte, known string) error {
	is := func(field string) bool { return isField(name, field) }
	switch {
	case is("Content-Length"):
		n, err := decimal(value)
		if err != nil || h.length != -2 {
			return fmt.Errorf("%w: length %.40q", errMalformed, value)
		}
		h.length = n
	case is("Transfer-Encoding"):
		if h.length != -2 || !strings.EqualFold(string(value), "chunked") {
			return fmt.Errorf("%w: transfer encoding %.40q", errMalformed, value)
		}
		h.length = -1
	case is("Connection"):
		h.closing = strings.EqualFold(string(value), "close")
	case is(headerProtocol):
		h.protocol = same(value, protocolVersion)
	case is(headerVolume):
		h.volume = same(value, known)
	case is(headerCRC):
		h.checksum = string(value)
	}
	return nil
}

// cutField takes the first field off the lines of a head, each of which ends in CRLF.
// Where it is none, name is the line.
func cutField(lines []byte) (name, value, rest []byte, ok bool) {
	line, rest, _ := bytes.Cut(lines, []byte("\r\n"))
	name, value, ok = bytes.Cut(line, []byte(":"))
	return name, bytes.TrimSpace(value), rest, ok
}

// isField reports that a field has a name, however it is spelled.
func isField(name []byte, field string) bool {
	return len(name) == len(field) && strings.EqualFold(string(name), field)
}

// decimal reads a length.
func decimal(b []byte) (int64, error) {
	n, err := strconv.ParseUint(string(b), 10, 62)
	return int64(n), err
}

// same is string(b), without a copy where that is as expected.
func same(b []byte, expected string) string {
	if string(b) == expected {
		return expected
	}
	return string(b)
}

// appendHead appends the head of a request, which may be the first on its connection.
func (c *Client) appendHead(dst []byte, r *request, first bool) []byte {
	dst = append(append(append(append(dst, r.method...), ' '), r.target...), " HTTP/1.1\r\n"...)
	dst = append(dst, c.fixed...)
	if c.config.Secret != "" {
		dst = append(dst, headerAuth+": "...)
		dst = c.signer.appendSigned(dst, r.method, r.target, c.config.VolumeUUID, c.config.Now())
		dst = append(dst, "\r\n"...)
	}
	if r.size >= 0 && r.method == "PUT" {
		dst = append(strconv.AppendInt(append(dst, headerSize+": "...), r.size, 10), "\r\n"...)
	}
	if r.checksum != "" {
		dst = append(append(append(dst, headerCRC+": "...), r.checksum...), "\r\n"...)
	}
	switch {
	case r.stream != nil:
		dst = append(dst, "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n"...)
		if r.stream.taken != nil {
			dst = append(dst, headerSigns+": 1\r\n"...)
		}
	case r.method != "GET":
		dst = append(strconv.AppendInt(append(dst, "Content-Length: "...), int64(len(r.body)), 10), "\r\n"...)
	}
	if r.lane && first {
		dst = append(dst, "Connection: "+headerLane+"\r\n"+headerLane+": 1\r\n"...)
	}
	if r.mediaType != "" {
		dst = append(append(append(dst, "Content-Type: "...), r.mediaType...), "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// portion is what is left of a body of known length on a connection.
type portion struct {
	cn   *conn
	left int64
	idle time.Duration // that the other side may take for the next bytes
}

// await allows the other side its time where fewer than n bytes are there.
func (p *portion) await(n int) {
	if p.cn.in.Buffered() < n {
		p.cn.allowRead(p.idle)
	}
}

// Read implements io.Reader.
func (p *portion) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	p.await(1)
	n, err := p.cn.in.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	return n, cut(err)
}

// Peek implements peeker, for as much as the connection's buffer holds.
func (p *portion) Peek(n int) ([]byte, error) {
	if int64(n) > p.left {
		return nil, io.EOF
	}
	p.await(n)
	b, err := p.cn.in.Peek(n)
	return b, cut(err)
}

// Discard implements peeker.
func (p *portion) Discard(n int) (int, error) {
	n, err := p.cn.in.Discard(n)
	p.left -= int64(n)
	return n, err
}

// timedOut reports that an error is due to a deadline.
func timedOut(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

var errSilence = fmt.Errorf("%w: no sign of life, timed out", volume.ErrUnavailable)
