package volumehttp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

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
	buffered := s.readers.Get().(*bufio.Reader)
	buffered.Reset(&requestBody{w: w, body: r.Body})
	defer func() {
		buffered.Reset(nil) // the pool must not hold on to the connection
		s.readers.Put(buffered)
	}()
	body := &putBody{w: w, frames: frameReader{id: id, r: buffered}}
	if err := s.blobs.Put(r.Context(), id, size, body, body.describe); err != nil {
		if body.err != nil && !errors.Is(body.err, io.EOF) {
			// The request's fault, whatever the store made of it.
			return fmt.Errorf("put %s: body: %v: %w", id, body.err, volume.ErrUnavailable)
		}
		return err
	}
	w.json(http.StatusCreated, errorJSON{Code: codeOK})
	return nil
}

// requestBody gives the peer another idle timeout for each read.
type requestBody struct {
	w    *response
	body io.Reader
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.w.extendRead()
	return b.body.Read(p)
}

// putBody is the payload of a put stream. It says io.EOF only after the whole
// stream was seen: the descriptor, the end frame and the end of the request. So
// whoever reads it to its end has a whole blob, and stores nothing otherwise.
type putBody struct {
	w          *response
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
	b.w.endRead()
	return io.EOF
}

// describe is the volume.Descriptor of the blob.
func (b *putBody) describe() ([]byte, error) {
	if !errors.Is(b.err, io.EOF) {
		return nil, fmt.Errorf("descriptor asked for before the end of the body: %w", volume.ErrInvalid)
	}
	return b.descriptor, nil
}
