package volumehttp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"tdkvs/volume"
)

func (s *Server) put(w *response, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	size := int64(-1)
	if text := r.Header.Get(headerSize); text != "" {
		if size, err = strconv.ParseInt(text, 10, 64); err != nil || size < 0 {
			return fmt.Errorf("header %s: %q: %w", headerSize, text, volume.ErrInvalid)
		}
	}
	raw := &requestBody{w: w, body: r.Body}
	if r.Header.Get(headerSigns) != "" {
		raw.signs, raw.signed = s.signEvery, time.Now()
	}
	buffered := s.readers.Get().(*bufio.Reader)
	buffered.Reset(raw)
	defer func() {
		buffered.Reset(nil) // the pool must not hold on to the connection
		s.readers.Put(buffered)
	}()
	body := &putBody{w: w, frames: frameReader{id: id, r: buffered}}
	err = s.blobs.Put(r.Context(), id, size, body, body.describe)
	switch {
	case err == nil:
		w.json(http.StatusCreated, errorJSON{Code: codeOK})
		return nil
	case errors.Is(body.err, io.EOF):
		return err
	case body.err != nil: // the request's fault, whatever the store made of it
		return fmt.Errorf("put %s: body: %v: %w", id, body.err, volume.ErrUnavailable)
	}
	return s.refuse(w, r, raw, err)
}

// requestBody gives the peer another idle timeout for each read.
type requestBody struct {
	w      *response
	body   io.Reader
	read   bool
	signs  time.Duration // between signs of life; 0: none is wanted
	signed time.Time     // when the last one was given
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.read = true
	b.w.extendRead()
	n, err := b.body.Read(p)
	if b.signs > 0 && n > 0 && time.Since(b.signed) >= b.signs && !b.w.begun {
		b.signed = time.Now()
		b.w.extendWrite()
		b.w.ResponseWriter.WriteHeader(http.StatusProcessing) // RFC 2518 section 10.1
	}
	return n, err
}

// refuse reports an error to a peer that is still sending. A connection that is
// closed on unread bytes is reset, and takes the report with it.
func (s *Server) refuse(w *response, r *http.Request, body *requestBody, err error) error {
	switch {
	case r.Header.Get("Expect") == "":
		// A short body: take it in, and the connection can be used again.
		_, _ = io.CopyN(io.Discard, body, 2*maxBuffered)
		return err
	case !body.read:
		return err // the peer has not begun
	}
	// A long one: report at once, then take in what comes until the peer has
	// read the report and hangs up.
	if duplexErr := w.control.EnableFullDuplex(); duplexErr != nil {
		return err
	}
	s.fail(w, r, err)
	_ = w.control.Flush()
	_ = w.control.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.Copy(io.Discard, body.body)
	return nil
}

// lingerTime is how long a peer is listened to that was told to stop.
const lingerTime = 5 * time.Second

var errAborted = errors.New("given up by the sender")

// putBody is the payload of a put stream. It says io.EOF only after the whole
// stream was seen: the descriptor, the end frame and the end of the request. So
// whoever reads it to its end has a whole blob, and stores nothing otherwise.
type putBody struct {
	w          *response // nil: of a lane
	frames     frameReader
	block      []byte // of the current frame, what was not read yet
	descriptor []byte
	err        error
}

func (b *putBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(b.block) == 0 && b.err == nil {
		b.err = b.advance()
	}
	if len(b.block) == 0 {
		return 0, b.err
	}
	n := copy(p, b.block)
	b.block = b.block[n:]
	return n, nil
}

// advance takes the next data frame, or the rest of the stream.
func (b *putBody) advance() error {
	kind, payload, err := b.frames.next()
	if err != nil {
		return err
	}
	switch kind {
	case kindData:
		b.block = payload
		return nil
	case kindDescriptor:
		b.descriptor = slices.Clone(payload)
	case kindError:
		return errors.Join(errAborted, b.frames.drained())
	default:
		return fmt.Errorf("a %q frame before the descriptor: %w", kind, errDamaged)
	}
	kind, payload, err = b.frames.next()
	if err != nil {
		return err
	}
	if kind != kindEnd {
		return fmt.Errorf("a %q frame after the descriptor: %w", kind, errDamaged)
	}
	if err := b.frames.end(payload, b.frames.offset); err != nil {
		return err
	}
	if b.w != nil {
		b.w.endRead()
	}
	return io.EOF
}

// describe is the volume.Descriptor of the blob.
func (b *putBody) describe() ([]byte, error) {
	if !errors.Is(b.err, io.EOF) {
		return nil, fmt.Errorf("descriptor asked for before the end of the body: %w", volume.ErrInvalid)
	}
	return b.descriptor, nil
}
