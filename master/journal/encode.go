package journal

import (
	"encoding/binary"
	"iter"

	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// chunkSize is how long a chunk of a snapshot may be, in bytes: volumes keep blobs of
// up to 1 MiB in their log.
const chunkSize = 1 << 20

// encodeEntry encodes a commit behind what buf holds, which is nothing. The counts and
// the sum of the header are filled in.
func encodeEntry(buf []byte, h Header, writes iter.Seq[metadb.Change]) ([]byte, Header) {
	buf = h.append(buf[:0])
	h.Rows = 0
	for c := range writes {
		buf = appendRow(buf, c)
		h.Rows++
	}
	h.Bytes = uint64(len(buf) - headerLen)
	return sealed(buf, h)
}

// sealed writes the header of a blob again, with its sum.
func sealed(buf []byte, h Header) ([]byte, Header) {
	h.append(buf[:0])
	h.Sum = seal(buf)
	return buf, h
}

// chunker cuts the rows of a snapshot into chunks.
type chunker struct {
	head Header                         // of the chunk that is being filled
	put  func(h Header, b []byte) error // takes a chunk; b is reused
	buf  []byte
}

// newChunker begins a snapshot that sees a commit.
func newChunker(at Header, put func(h Header, b []byte) error) *chunker {
	h := at
	h.Kind, h.Chunk, h.Rows, h.Bytes, h.Prev, h.Sum = volume.MetadataChunk, 0, 0, 0, at.Sum, 0
	return &chunker{head: h, put: put, buf: h.append(make([]byte, 0, chunkSize))}
}

func (k *chunker) row(key, value []byte) error {
	c := metadb.Change{Key: key, Value: value}
	if len(k.buf) > headerLen && len(k.buf)+rowLen(c) > chunkSize {
		if err := k.flush(); err != nil {
			return err
		}
	}
	before := len(k.buf)
	k.buf = appendRow(k.buf, c)
	k.head.Rows++
	k.head.Bytes += uint64(len(k.buf) - before)
	return nil
}

// rowLen is the most that a row takes.
func rowLen(c metadb.Change) int { return 2*binary.MaxVarintLen64 + len(c.Key) + len(c.Value) }

// flush hands the chunk over and begins the next.
func (k *chunker) flush() error {
	var h Header
	k.buf, h = sealed(k.buf, k.head)
	if err := k.put(h, k.buf); err != nil {
		return err
	}
	k.head.Chunk++
	k.head.Prev = h.Sum
	k.buf = k.head.append(k.buf[:0])
	return nil
}

// finish hands the last chunk over.
func (k *chunker) finish() error {
	k.head.Last = true
	return k.flush()
}
