package adminapi

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
)

// BodyWriter writes bodies, one after the other. Each is a number of blocks, each
// of these its length (4 bytes, little endian) and its bytes; then a length of 0 and
// the CRC32C of the body. In place of a length, bodyFailed says that the rest can not
// be had; a length of 2 bytes and a text follow.
type BodyWriter struct {
	w   *bufio.Writer
	sum hash.Hash32
}

const (
	bodyFailed   = 1<<32 - 1
	maxBodyBlock = 1 << 20
	maxBodyText  = 4 << 10
)

// NewBodyWriter returns a writer of bodies.
func NewBodyWriter(w io.Writer) *BodyWriter {
	return &BodyWriter{w: bufio.NewWriterSize(w, 64<<10), sum: newCRC()}
}

// Write writes the next bytes of a body.
func (w *BodyWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		block := p[:min(len(p), maxBodyBlock)]
		if _, err := w.w.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(block)))); err != nil {
			return n, err
		}
		if _, err := w.w.Write(block); err != nil {
			return n, err
		}
		_, _ = w.sum.Write(block) // never fails, by its contract
		n, p = n+len(block), p[len(block):]
	}
	return n, nil
}

// End ends a body.
func (w *BodyWriter) End() error {
	_, err := w.w.Write(binary.LittleEndian.AppendUint32(make([]byte, 4), w.sum.Sum32()))
	w.sum.Reset()
	return err
}

// Fail says why a body is not there, and ends the stream.
func (w *BodyWriter) Fail(text string) error {
	text = text[:min(len(text), maxBodyText)]
	b := binary.LittleEndian.AppendUint32(nil, bodyFailed)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	if _, err := w.w.Write(append(b, text...)); err != nil {
		return err
	}
	return w.w.Flush()
}

// Flush sends what is buffered.
func (w *BodyWriter) Flush() error { return w.w.Flush() }

// BodyError is what the store says of a body that it can not give.
type BodyError struct{ Text string }

func (e *BodyError) Error() string { return e.Text }

// ReadBody reads the next body, which must be of a length. r should be buffered.
func ReadBody(r io.Reader, length int64) ([]byte, error) {
	b := make([]byte, length)
	var head [4]byte
	for at := int64(0); ; {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, broken(err)
		}
		n := binary.LittleEndian.Uint32(head[:])
		switch {
		case n == bodyFailed:
			return nil, readFailure(r)
		case n == 0 && at == length:
			return b, checkBody(r, b)
		case n == 0 || n > maxBodyBlock || int64(n) > length-at:
			return nil, broken(fmt.Errorf("%d bytes at %d of %d", n, at, length))
		}
		if _, err := io.ReadFull(r, b[at:at+int64(n)]); err != nil {
			return nil, broken(err)
		}
		at += int64(n)
	}
}

func checkBody(r io.Reader, b []byte) error {
	var want [4]byte
	if _, err := io.ReadFull(r, want[:]); err != nil {
		return broken(err)
	}
	sum := newCRC()
	_, _ = sum.Write(b) // never fails, by its contract
	if binary.LittleEndian.Uint32(want[:]) != sum.Sum32() {
		return broken(nil)
	}
	return nil
}

func readFailure(r io.Reader) error {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return broken(err)
	}
	text := make([]byte, min(int(binary.LittleEndian.Uint16(size[:])), maxBodyText))
	if _, err := io.ReadFull(r, text); err != nil {
		return broken(err)
	}
	return &BodyError{Text: string(text)}
}
