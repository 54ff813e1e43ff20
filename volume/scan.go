package volume

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// scanWindow is how many bytes a scan reads at a time.
const scanWindow = 256 << 10

// gap is a run of bytes between records in which there is no record.
type gap struct{ from, to int64 }

// scan is what was found by reading a segment's record headers.
type scan struct {
	records []header
	gaps    []gap
	end     int64 // where the last record ends
}

// scanRecords walks from header to header. Where there is none, it searches on
// for the next one. It looks at headers only: payloads have sums of their own. A
// record of a later release is an error.
func scanRecords(file io.ReaderAt, s seed, seg uint32, size int64) (*scan, error) {
	w := window{file: file, size: size}
	result := &scan{end: segmentHeaderLen}
	for at := int64(segmentHeaderLen); ; {
		h, ok, err := w.header(s, seg, at)
		if err != nil {
			return nil, err
		}
		if !ok {
			next, err := w.find(s, seg, at+recordAlign)
			if err != nil {
				return nil, err
			}
			if next < 0 {
				return result, nil
			}
			result.gaps = append(result.gaps, gap{at, next})
			at = next
			continue
		}
		result.records = append(result.records, h)
		at += h.length()
		result.end = at
	}
}

// rows returns the records in the form of a footer.
func (r *scan) rows() []byte {
	b := make([]byte, 0, len(r.records)*rowLen)
	for i := range r.records {
		b = appendRow(b, &r.records[i])
	}
	return b
}

// window reads a file in long runs.
type window struct {
	file io.ReaderAt
	size int64
	buf  []byte
	at   int64 // where buf was read from
}

// bytes returns up to n bytes at an offset; fewer at the end of the file.
func (w *window) bytes(at int64, n int) ([]byte, error) {
	n = int(min(int64(n), w.size-at))
	if n <= 0 {
		return nil, nil
	}
	if at < w.at || at+int64(n) > w.at+int64(len(w.buf)) {
		if w.buf == nil {
			w.buf = make([]byte, min(scanWindow, w.size))
		}
		w.at, w.buf = at, w.buf[:min(scanWindow, w.size-at)]
		if _, err := w.file.ReadAt(w.buf, at); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read records: %w", err)
		}
	}
	return w.buf[at-w.at:][:n], nil
}

// header reads the record header at an offset, if there is one, of a record
// that ends within the file.
func (w *window) header(s seed, seg uint32, at int64) (header, bool, error) {
	b, err := w.bytes(at, headerLen)
	if err != nil || len(b) < headerLen {
		return header{}, false, err
	}
	h, ok := parseHeader(b, s, seg, uint32(at))
	if !ok {
		return h, false, unknownRecord(b, s, seg, uint32(at))
	}
	return h, at+h.length() <= w.size, nil
}

// find returns the offset of the first record header at or behind an offset, or
// -1. Records begin at multiples of 8.
func (w *window) find(s seed, seg uint32, at int64) (int64, error) {
	for at < w.size {
		b, err := w.bytes(at, scanWindow)
		if err != nil {
			return 0, err
		}
		next := at + int64(len(b)) - headerLen + recordAlign // a header may straddle the end
		for i := 0; i < len(b); i += recordAlign {
			skip := bytes.Index(b[i:], []byte(recordMagic))
			if skip < 0 {
				break
			}
			i = (i + skip + recordAlign - 1) &^ (recordAlign - 1)
			if i+headerLen > len(b) {
				break
			}
			h, ok := parseHeader(b[i:], s, seg, uint32(at)+uint32(i))
			if !ok {
				if err := unknownRecord(b[i:], s, seg, uint32(at)+uint32(i)); err != nil {
					return 0, err
				}
			} else if at+int64(i)+h.length() <= w.size {
				return at + int64(i), nil
			}
		}
		if at+int64(len(b)) >= w.size {
			break
		}
		at = next
	}
	return -1, nil
}
