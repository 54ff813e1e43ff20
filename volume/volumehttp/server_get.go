package volumehttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"tdkvs/volume"
)

func (s *Server) get(w *response, r *http.Request) error {
	b, err := rangeOf(r)
	if err != nil {
		return err
	}
	switch withInfo := r.URL.Query().Get(paramInfo); withInfo {
	case "":
		b.body, err = s.blobs.Get(r.Context(), b.id, b.offset, b.length)
	case infoFirst:
		var info volume.Info
		if info, b.body, err = s.blobs.Open(r.Context(), b.id, b.offset, b.length); err == nil {
			b.info = appendInfo(nil, info)
		}
	default:
		err = fmt.Errorf("parameter %s=%q: %w", paramInfo, withInfo, volume.ErrInvalid)
	}
	if err != nil {
		return err
	}
	return s.sendBlob(w, r, b)
}

// blobRange is what a get sends.
type blobRange struct {
	id             volume.BlobID
	offset, length int64  // length -1: to the end of the blob
	info           []byte // the first frame, where it was asked for
	body           io.ReadCloser
}

// rangeOf reads which range is asked for.
func rangeOf(r *http.Request) (b blobRange, err error) {
	if b.id, err = pathID(r); err != nil {
		return b, err
	}
	if b.offset, err = queryInt(r, "offset", 0); err != nil {
		return b, err
	}
	b.length, err = queryInt(r, "length", -1)
	return b, err
}

// sendBlob sends a range and closes it.
func (s *Server) sendBlob(w *response, r *http.Request, b blobRange) error {
	defer func() {
		if err := b.body.Close(); err != nil {
			s.log.WarnContext(r.Context(), "close of a blob failed", "id", b.id, "error", err)
		}
	}()
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	*buf = slices.Grow((*buf)[:0], len(b.info)+sendBuffer)
	return s.sendFrames(w, r, b, *buf)
}

// sendBuffer is the room for a data frame and the end behind it.
const sendBuffer = frameHeader + volume.BlockSize + frameHeader + endPayload

// sendFrames sends a range, one block at a time, from a buffer that has room for
// sendBuffer and the info. A failure before the first frame is returned, to become
// an error response; a later one becomes an error frame.
func (s *Server) sendFrames(w *response, r *http.Request, b blobRange, buf []byte) error {
	h := w.Header()
	h.Set("Content-Type", typeFrames)
	out := append(buf[:0], b.info...)
	for pos := b.offset; ; out = buf[:0] {
		at := len(out) + frameHeader
		block := buf[at : at+volume.BlockSize-int(pos%volume.BlockSize)]
		n, readErr := readBlock(b.body, block)
		if n > 0 {
			putHeader(buf[len(out):at], b.id, kindData, pos, block[:n])
			out = buf[:at+n]
			pos += int64(n)
		}
		if errors.Is(readErr, io.EOF) && b.length >= 0 && pos-b.offset != b.length {
			readErr = fmt.Errorf("%d bytes of the %d from %d: %w", pos-b.offset, b.length, b.offset, volume.ErrCorrupt)
		}
		switch {
		case readErr == nil:
		case errors.Is(readErr, io.EOF):
			out = appendEnd(out, b.id, pos-b.offset)
			if !w.begun {
				h.Set("Content-Length", strconv.Itoa(len(out)))
			}
		case !w.begun && n == 0:
			return readErr
		default:
			out = s.appendError(out, r, b.id, readErr)
		}
		if _, err := w.Write(out); err != nil {
			return fmt.Errorf("send: %v: %w", err, volume.ErrUnavailable) // the peer is gone
		}
		if readErr != nil {
			return nil
		}
	}
}

func (s *Server) appendError(dst []byte, r *http.Request, id volume.BlobID, err error) []byte {
	code, _ := encodeError(err)
	s.log.WarnContext(r.Context(), "read of a blob failed midway", "id", id, "code", code, "error", err)
	payload, marshalErr := json.Marshal(errorJSON{Code: code, Message: bounded(err.Error())})
	if marshalErr != nil || len(payload) > maxErrorPayload {
		payload = []byte(`{"code":"` + code + `"}`)
	}
	return appendFrame(dst, id, kindError, payload)
}

func (s *Server) head(w *response, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	info, err := s.blobs.Stat(r.Context(), id)
	if err != nil {
		return err
	}
	w.Header().Set(headerSize, strconv.FormatInt(info.Size, 10))
	w.Header().Set(headerCreated, info.Created.UTC().Format(time.RFC3339Nano))
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) stat(w *response, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	info, err := s.blobs.Stat(r.Context(), id)
	if err != nil {
		return err
	}
	w.json(http.StatusOK, encodeInfo(info))
	return nil
}

// verify may take minutes. Until it is done the server sends spaces, which JSON
// ignores, so that the peer can tell it from a server that hangs. Once the
// first was sent the outcome is in the body alone.
func (s *Server) verify(w *response, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.blobs.Verify(r.Context(), id) }()
	ticker := time.NewTicker(s.heartbeat)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return s.verified(w, r, err)
		case <-ticker.C:
			// When the peer is gone its context ends the verification.
			_, _ = io.WriteString(w, " ")
			_ = w.control.Flush()
		}
	}
}

func (s *Server) verified(w *response, r *http.Request, err error) error {
	if !w.begun && err != nil {
		return err
	}
	outcome := errorJSON{Code: codeOK}
	if err != nil {
		outcome.Code, _ = encodeError(err)
		outcome.Message = bounded(err.Error())
		s.log.WarnContext(r.Context(), "verification failed", "path", r.URL.Path, "error", err)
	}
	if !w.begun {
		w.json(http.StatusOK, outcome)
		return nil
	}
	return json.NewEncoder(w).Encode(outcome)
}
