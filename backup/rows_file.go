package backup

import (
	"encoding/binary"

	"github.com/klauspost/compress/zstd"
)

// A part of the rows: a header as that of a pack, 'tdkvsROW' and its number from 1,
// and rows, compressed by Zstandard (RFC 8878).
const rowsMagic = "tdkvsROW"

// rowsCodec compresses and decompresses parts of rows.
type rowsCodec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newRowsCodec() (*rowsCodec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxRows))
	return &rowsCodec{enc, dec}, err
}

// seal makes a part of rows.
func (c *rowsCodec) seal(rows []byte, number int) []byte {
	return c.enc.EncodeAll(rows, appendHeader(nil, rowsMagic, number))
}

// open returns the rows of a part.
func (c *rowsCodec) open(b []byte, number int) (*rowReader, error) {
	if err := checkHeader(b, rowsMagic); err != nil {
		return nil, err
	}
	if n := binary.LittleEndian.Uint32(b[12:]); int(n) != number {
		return nil, damaged("part %d of the rows is in the place of part %d", n, number)
	}
	rows, err := c.dec.DecodeAll(b[packHeader:], nil)
	if err != nil {
		return nil, damaged("part %d of the rows: %v", number, err)
	}
	return &rowReader{b: rows}, nil
}
