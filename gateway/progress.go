package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"tdkvs/s3api"
)

// progressUnit is how much of a request body must arrive within the timeout, in
// bytes: a client that sends a byte now and then makes no progress.
const progressUnit = 16 << 10

// body is a request body that must keep coming. Only the time spent waiting for
// the client counts, not the time that the store takes over what it has.
type body struct {
	io.ReadCloser
	conn     *http.ResponseController
	timeout  time.Duration
	left     time.Duration // for what is missing of the current unit
	unit     int           // bytes of the current unit that arrived
	deadline time.Time     // of the connection, as last set
	read     int64
	ended    bool // io.EOF was seen
}

// newBody guards a request's body; it returns nil where there is none.
func newBody(w http.ResponseWriter, b io.ReadCloser, timeout time.Duration, now time.Time) *body {
	if b == nil || b == http.NoBody {
		return nil
	}
	guarded := &body{ReadCloser: b, conn: http.NewResponseController(w), timeout: timeout, left: timeout}
	// The server reads what a handler leaves before it answers.
	guarded.setDeadline(now.Add(timeout))
	return guarded
}

func (b *body) Read(p []byte) (int, error) {
	start := time.Now()
	// A deadline that is a little early or late will do: setting one costs.
	if want := start.Add(b.left); want.Sub(b.deadline).Abs() > b.timeout/8 {
		b.setDeadline(want)
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	b.left = max(b.left-time.Since(start), 0)
	if b.unit += n; b.unit >= progressUnit {
		b.unit, b.left = 0, b.timeout
	}
	if errors.Is(err, io.EOF) {
		// The server goes on reading the connection, to notice when the client
		// leaves: a deadline would look like that. After other errors it stays, so
		// that the server does not wait for the rest.
		b.ended = true
		b.setDeadline(time.Time{})
	}
	return n, err
}

// finish gives the client a last while for what the handler did not read. It
// ends before the time to write does, for the answer is written afterwards.
func (b *body) finish(now time.Time) {
	if !b.ended {
		b.setDeadline(now.Add(b.left / 2))
	}
}

// setDeadline does nothing where the connection has no deadlines, as in tests.
func (b *body) setDeadline(t time.Time) {
	b.deadline = t
	_ = b.conn.SetReadDeadline(t)
}

// writer is the answer to a request: it notes what was sent, and gives the
// client a limited time to take each piece. It holds all that the gateway keeps of
// a request.
type writer struct {
	http.ResponseWriter
	timeout time.Duration
	renewed time.Time
	status  int // what was sent; 0: nothing yet
	began   time.Time
	first   time.Time // when the first of it was; zero: with the end
	written int64
	info    s3api.RequestInfo
	id      [1]string // of the request; the header's value
	path    string    // of the request, as it was sent
	ctx     context.Context
}

func newWriter(w http.ResponseWriter, r *http.Request, timeout time.Duration) *writer {
	out := &writer{ResponseWriter: w, timeout: timeout, began: time.Now(), id: [1]string{s3api.NewRequestID()}, path: r.URL.EscapedPath(), ctx: r.Context()}
	out.renew(out.began) // over the deadline of the request before this one
	return out
}

// RequestInfo returns the record of the request that w answers: it makes w an
// s3api.Recorder.
func (w *writer) RequestInfo() *s3api.RequestInfo { return &w.info }

// Unwrap lets http.ResponseController reach the connection.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	now := time.Now()
	w.renew(now)
	if w.status == 0 && status >= 200 {
		w.status, w.first = status, now
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	w.sending()
	n, err := w.ResponseWriter.Write(p)
	w.written += int64(n)
	return n, err
}

// FlushError sends what is buffered.
func (w *writer) FlushError() error {
	w.sending()
	if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
		return err
	}
	return flushConn(w.ctx)
}

// sending gives the client time for what comes next, and notes when the first was
// sent.
func (w *writer) sending() {
	now := time.Now()
	w.renew(now)
	if w.status == 0 {
		w.status, w.first = http.StatusOK, now
	}
}

// finish gives the client time for what is still buffered.
func (w *writer) finish(now time.Time) {
	if w.status == 0 {
		w.status = http.StatusOK // as the server will
	}
	w.renew(now)
}

// untilFirstByte is how long it took until the first of the answer was sent; took
// where it was sent at the end.
func (w *writer) untilFirstByte(took time.Duration) time.Duration {
	if w.first.IsZero() {
		return took
	}
	return w.first.Sub(w.began)
}

// renew gives the client time from now on, unless it has most of it left.
func (w *writer) renew(now time.Time) {
	if now.Sub(w.renewed) < w.timeout/8 {
		return
	}
	w.renewed = now
	if err := http.NewResponseController(w.ResponseWriter).SetWriteDeadline(now.Add(w.timeout)); errors.Is(err, http.ErrNotSupported) {
		w.renewed = now.Add(24 * time.Hour) // no deadlines here, as in tests
	}
}
