package volumehttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"

	"tdkvs/volume"
)

// request is one call to the server.
type request struct {
	method    string
	target    string // path and query
	size      int64  // of a put: payload bytes; -1: not known
	mediaType string
	checksum  string     // of a body that is a message
	body      []byte     // what lies in memory of the body
	stream    *putStream // in place of body: what is sent as it is read
	lane      bool       // it goes over a connection that carries nothing but gets and short puts
	attempts  int        // that were made
}

// call is a request under way: its connection, and what has come of the answer. It is
// used by one goroutine.
type call struct {
	ctx     context.Context // the caller's
	client  *Client
	pool    *connPool
	conn    *conn // nil once ended
	unwatch func() bool
	head    answerHead
	portion           // of the answer's body, where its length is known
	chunks  io.Reader // of a body in chunks; nil: its length is known
	whole   bool      // the answer was read to its end, and its connection is good for another
}

// ask sends a request that lies in memory, and reads the head of the answer.
func (k *call) ask(r *request) error {
	cn := k.conn
	cn.allow(k.client.config.ResponseTimeout)
	cn.out = k.client.appendHead(cn.out[:0], r, !cn.used)
	var sent error
	if len(r.body) > 0 {
		sent = cn.write(cn.out, r.body)
	} else {
		sent = cn.write(cn.out)
	}
	if timedOut(sent) {
		return sent
	}
	// A server that refuses and hangs up has answered all the same.
	for {
		h, err := cn.readHead(k.client.config.VolumeUUID)
		switch {
		case err != nil && sent != nil:
			return sent
		case err != nil:
			return err
		case h.status >= 200:
			h.closing = h.closing || sent != nil
			k.answered(h)
			return nil
		}
	}
}

// answered begins to read the body of an answer.
func (k *call) answered(h answerHead) {
	k.head = h
	k.portion = portion{cn: k.conn, left: max(0, h.length), idle: k.client.config.IdleTimeout}
	if h.length < 0 {
		k.chunks = httputil.NewChunkedReader(k.conn.in)
	}
	k.whole = k.chunks == nil && k.left == 0
}

// Read implements io.Reader: it reads the body of the answer, and gives the server an
// idle timeout for each read.
func (k *call) Read(p []byte) (int, error) {
	switch {
	case k.whole:
		return 0, io.EOF
	case k.chunks != nil:
		return k.readChunks(p)
	}
	n, err := k.portion.Read(p)
	k.whole = k.left == 0
	return n, err
}

// readChunks is Read of a body in chunks. Behind the last of them there is a line, and
// no field is expected there.
func (k *call) readChunks(p []byte) (int, error) {
	k.conn.allowRead(k.idle)
	n, err := k.chunks.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	line, err := k.conn.in.Peek(2)
	if err != nil || string(line) != "\r\n" {
		return n, fmt.Errorf("%w: end of the chunks: %q, %v", errMalformed, line, err)
	}
	_, _ = k.conn.in.Discard(2) // these bytes are there
	k.whole = true
	return n, io.EOF
}

// Discard implements peeker.
func (k *call) Discard(n int) (int, error) {
	n, err := k.portion.Discard(n)
	k.whole = k.left == 0
	return n, err
}

// short reports that the body of the answer fits into the buffer of its connection.
func (k *call) short() bool { return k.chunks == nil && k.left <= connBuffer }

// check refuses an answer that is not a success of the volume that was asked.
func (k *call) check() error {
	if k.head.protocol != protocolVersion {
		return fmt.Errorf("%s, but not from a volume: %w", k.status(), volume.ErrUnavailable)
	}
	if k.head.status >= 300 {
		return k.decodeFailure()
	}
	if want := k.client.config.VolumeUUID; want != "" && k.head.volume != want {
		return fmt.Errorf("volume %q answers, and %s was expected: %w", k.head.volume, want, volume.ErrWrongVolume)
	}
	return nil
}

func (k *call) status() string {
	return fmt.Sprintf("%d %s", k.head.status, http.StatusText(k.head.status))
}

func (k *call) decodeFailure() error {
	var e errorJSON
	if err := k.readJSON(&e); err != nil {
		return fmt.Errorf("%s: %w", k.status(), err)
	}
	return decodeError(e.Code, e.Message)
}

// read returns the whole body of an answer, which is a message.
func (k *call) read() ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(k, maxJSON+1))
	if err != nil {
		return nil, k.failure(err)
	}
	if len(body) > maxJSON {
		return nil, fmt.Errorf("message of more than %d bytes: %w", maxJSON, volume.ErrUnavailable)
	}
	return body, nil
}

func (k *call) readJSON(v any) error {
	body, err := k.read()
	if err != nil {
		return err
	}
	if err := unmarshalChecked(body, k.head.checksum, v); err != nil {
		return fmt.Errorf("%v: %w", err, volume.ErrUnavailable)
	}
	return nil
}

// failure says what a failed exchange means: that the caller gave up, or that
// the volume can not be reached.
func (k *call) failure(err error) error {
	if ctxErr := k.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	if timedOut(err) {
		return errSilence
	}
	return fmt.Errorf("%w: %v", volume.ErrUnavailable, err)
}

// end lets go of the connection: for reuse if the answer was read to its end,
// else it is closed.
func (k *call) end() {
	cn := k.conn
	if cn == nil {
		return
	}
	k.conn = nil
	if k.unwatch() && k.whole && !k.head.closing && cn.in.Buffered() == 0 {
		k.pool.give(cn)
		return
	}
	_ = cn.Close() // nobody reads from it any more
}
