package volume

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tdkvs/volume/vfs"
)

// A footer is the index of a sealed segment: a row for each record, in the
// order of the log, and a trailer at the very end of the file.
//
//	row:      0 blob id (16)   16 offset   20 kind << 24 | descriptor length
//	         24 payload length, as in the record   32 created
//	trailer:  0 magic "tdkF"   4 version   8 segment   12 offset of the first row
//	         16 rows           20 CRC32C of the rows   24 zero (4)
//	         28 CRC32C of bytes 0 to 28
//
// Both sums begin with the volume's UUID.
const (
	rowLen        = 40
	trailerLen    = 32
	footerMagic   = "tdkF"
	footerVersion = 1
)

// appendRow encodes what a footer tells of a record.
func appendRow(b []byte, h *header) []byte {
	le := binary.LittleEndian
	b = append(b, h.id[:]...)
	b = le.AppendUint32(b, h.off)
	b = le.AppendUint32(b, uint32(h.kind)<<24|h.desc)
	b = le.AppendUint64(b, h.payload)
	return le.AppendUint64(b, uint64(h.created))
}

func parseRow(b []byte, seg uint32) header {
	le := binary.LittleEndian
	kind := le.Uint32(b[20:])
	return header{
		id:      BlobID(b[:16]),
		seg:     seg,
		off:     le.Uint32(b[16:]),
		kind:    byte(kind >> 24),
		desc:    kind & 0xffffff,
		payload: le.Uint64(b[24:]),
		created: int64(le.Uint64(b[32:])),
	}
}

// appendTrailer completes rows, which will lie at offset at, to a footer.
func appendTrailer(rows []byte, s seed, seg uint32, at int64) []byte {
	le := binary.LittleEndian
	sum := s.sum(rows)
	start := len(rows)
	b := append(rows, footerMagic...)
	b = le.AppendUint32(b, footerVersion)
	b = le.AppendUint32(b, seg)
	b = le.AppendUint32(b, uint32(at))
	b = le.AppendUint32(b, uint32(start/rowLen))
	b = le.AppendUint32(b, sum)
	b = le.AppendUint32(b, 0)
	return le.AppendUint32(b, s.sum(b[start:]))
}

// trailer is a decoded trailer.
type trailer struct {
	at   int64 // offset of the first row: where the records end
	rows int64
	sum  uint32
}

// parseTrailer decodes the trailer of a segment file of size bytes. It reports
// false unless everything in it is right.
func parseTrailer(b []byte, s seed, seg uint32, size int64) (trailer, bool) {
	le := binary.LittleEndian
	if len(b) != trailerLen || string(b[:4]) != footerMagic || le.Uint32(b[4:]) != footerVersion ||
		le.Uint32(b[8:]) != seg || le.Uint32(b[24:]) != 0 || le.Uint32(b[28:]) != s.sum(b[:28]) {
		return trailer{}, false
	}
	t := trailer{at: int64(le.Uint32(b[12:])), rows: int64(le.Uint32(b[16:])), sum: le.Uint32(b[20:])}
	return t, t.at >= segmentHeaderLen && t.at+t.rows*rowLen+trailerLen == size
}

// errNoFooter says that a segment has no footer, or a damaged one.
var errNoFooter = errors.New("no valid footer")

// readFooter returns the rows of a sealed segment and where its records end. It
// fails with errNoFooter unless every row is right.
func readFooter(file vfs.File, s seed, seg uint32, size int64) (rows []byte, end int64, err error) {
	if size < segmentHeaderLen+trailerLen {
		return nil, 0, errNoFooter
	}
	var b [trailerLen]byte
	if _, err := file.ReadAt(b[:], size-trailerLen); err != nil {
		return nil, 0, fmt.Errorf("read footer: %w", err)
	}
	t, ok := parseTrailer(b[:], s, seg, size)
	if !ok {
		return nil, 0, errNoFooter
	}
	rows = make([]byte, t.rows*rowLen)
	if len(rows) > 0 {
		if _, err := file.ReadAt(rows, t.at); err != nil {
			return nil, 0, fmt.Errorf("read footer: %w", err)
		}
	}
	if s.sum(rows) != t.sum || !validRows(rows, seg, t.at) {
		return nil, 0, errNoFooter
	}
	return rows, t.at, nil
}

// validRows reports whether rows describe records that lie in order between the
// segment's header and end.
func validRows(rows []byte, seg uint32, end int64) bool {
	next := int64(segmentHeaderLen)
	for len(rows) > 0 {
		h := parseRow(rows, seg)
		if int64(h.off) < next || h.desc > MaxDescriptor || h.kind == kindBlob && h.payload > maxSmallLimit {
			return false
		}
		next = int64(h.off) + h.length()
		rows = rows[rowLen:]
	}
	return next <= end
}

// rowGaps returns where a segment holds bytes of which its footer knows
// nothing: records that were damaged before it was sealed.
func rowGaps(rows []byte, seg uint32, end int64) (gaps []gap) {
	next := int64(segmentHeaderLen)
	for ; len(rows) > 0; rows = rows[rowLen:] {
		h := parseRow(rows, seg)
		if int64(h.off) > next {
			gaps = append(gaps, gap{next, int64(h.off)})
		}
		next = int64(h.off) + h.length()
	}
	if next < end {
		gaps = append(gaps, gap{next, end})
	}
	return gaps
}
