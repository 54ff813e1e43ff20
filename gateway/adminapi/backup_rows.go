package adminapi

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// ErrStream is the error of a stream that breaks off, or is not what it should be.
var ErrStream = errors.New("the stream of the backup broke off, or is damaged")

// BackupRow is a row of a backup. Key and value mean something to the store only.
type BackupRow struct {
	Key, Value []byte
	Bodies     []BackupBody
}

// BackupBody is a body of a row.
type BackupBody struct {
	ID     [16]byte // of the bytes, for ever
	Size   int64
	Handle []byte // to ask for them by
}

// Bounds of a row on the wire.
const (
	maxRowBytes  = 64 << 20
	maxRowField  = 64 << 10
	maxRowBodies = 64 << 10
)

// RowWriter writes rows: each as its length and itself, and at the end a length of
// 0, the number of rows (8 bytes) and the CRC32C of all before it (4 bytes).
// Lengths are uvarints, numbers little endian.
type RowWriter struct {
	w   *bufio.Writer
	sum hash.Hash32
	n   uint64
	buf []byte
}

// NewRowWriter returns a writer of rows. Close must be called.
func NewRowWriter(w io.Writer) *RowWriter {
	sum := newCRC()
	return &RowWriter{w: bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10), sum: sum}
}

func newCRC() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

// Write writes a row.
func (w *RowWriter) Write(r *BackupRow) error {
	b := w.buf[:0]
	for _, s := range [][]byte{r.Key, r.Value} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Bodies)))
	for i := range r.Bodies {
		body := &r.Bodies[i]
		b = binary.AppendUvarint(append(b, body.ID[:]...), uint64(body.Size))
		b = append(binary.AppendUvarint(b, uint64(len(body.Handle))), body.Handle...)
	}
	w.buf = b
	w.n++
	if _, err := w.w.Write(binary.AppendUvarint(nil, uint64(len(b)))); err != nil {
		return err
	}
	_, err := w.w.Write(b)
	return err
}

// Close writes the end.
func (w *RowWriter) Close() error {
	if _, err := w.w.Write(binary.LittleEndian.AppendUint64([]byte{0}, w.n)); err != nil {
		return err
	}
	if err := w.w.Flush(); err != nil {
		return err
	}
	if _, err := w.w.Write(binary.LittleEndian.AppendUint32(nil, w.sum.Sum32())); err != nil {
		return err
	}
	return w.w.Flush()
}

// ReadRows gives the rows of a stream, which must come to its end. fn may keep
// what it gets.
func ReadRows(r io.Reader, fn func(*BackupRow) error) error {
	in := &summed{in: bufio.NewReaderSize(r, 64<<10), sum: newCRC()}
	for n := uint64(0); ; n++ {
		size, err := binary.ReadUvarint(in)
		if err != nil || size > maxRowBytes {
			return broken(err)
		}
		if size == 0 {
			return in.end(n)
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(in, b); err != nil {
			return broken(err)
		}
		row, ok := parseRow(b)
		if !ok {
			return broken(nil)
		}
		if err := fn(&row); err != nil {
			return err
		}
	}
}

func broken(err error) error {
	if err == nil {
		return ErrStream
	}
	return fmt.Errorf("%w: %w", ErrStream, err)
}

// summed sums what is read.
type summed struct {
	in  *bufio.Reader
	sum hash.Hash32
	one [1]byte
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	_, _ = s.sum.Write(p[:n]) // never fails, by its contract
	return n, err
}

func (s *summed) ReadByte() (byte, error) {
	_, err := io.ReadFull(s, s.one[:])
	return s.one[0], err
}

// end checks the end of a stream of n rows.
func (s *summed) end(n uint64) error {
	var tail [8]byte
	if _, err := io.ReadFull(s, tail[:]); err != nil || binary.LittleEndian.Uint64(tail[:]) != n {
		return broken(err)
	}
	want := s.sum.Sum32()
	if _, err := io.ReadFull(s.in, tail[:4]); err != nil || binary.LittleEndian.Uint32(tail[:4]) != want {
		return broken(err)
	}
	return nil
}

// parseRow reads a row as Write has written it.
func parseRow(b []byte) (r BackupRow, ok bool) {
	ok = true
	number := func(most uint64) uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > most {
			ok, b = false, nil
			return 0
		}
		b = b[n:]
		return v
	}
	take := func(n uint64) []byte {
		if n > uint64(len(b)) {
			ok, b = false, nil
			return nil
		}
		v := b[:n:n]
		b = b[n:]
		return v
	}
	r.Key = take(number(maxRowField))
	r.Value = take(number(maxRowField))
	for n := number(maxRowBodies); n > 0 && ok; n-- {
		var body BackupBody
		copy(body.ID[:], take(uint64(len(body.ID))))
		body.Size = int64(number(1 << 62))
		body.Handle = take(number(maxRowField))
		r.Bodies = append(r.Bodies, body)
	}
	return r, ok && len(b) == 0
}
