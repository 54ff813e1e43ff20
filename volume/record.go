package volume

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// A record is one entry of the log and, alone, the whole of a large blob's
// file. All integers are little endian; docs/formats.md draws every byte.
//
//	header 64 | (block, CRC32C)... | descriptor | CRC32C | zero padding to 8
//
//	 0 magic "tdkR"   4 version   5 kind   6 zero (2)   8 blob id (16)
//	24 payload length; in a tombstone: segment (4) and offset (4) that it kills
//	32 created, ns since 1970     40 durable: offset known synced when written
//	48 descriptor length          52 segment     56 offset of this record
//	60 CRC32C of bytes 0 to 60, begun with the volume's UUID
//
// The header names its own place and is summed with the volume's UUID, so a copy of a
// record inside a payload, or a stale one of another segment, is never taken
// for a record.
const (
	headerLen   = 64
	sumLen      = 4
	recordAlign = 8

	recordMagic   = "tdkR"
	recordVersion = 1

	// descriptorBlock is the block index under which a descriptor is summed.
	descriptorBlock = math.MaxUint32

	maxLargePayload = 1 << 47 // bytes: keeps block indexes below descriptorBlock
)

// The kinds of record.
const (
	kindBlob      = 1
	kindTombstone = 2
	kindMark      = 3 // carries nothing but its durable offset
)

// header is the decoded first 64 bytes of a record.
type header struct {
	kind    byte
	id      BlobID
	payload uint64 // bytes; of a tombstone: the place it kills
	created int64
	durable uint64
	desc    uint32 // bytes
	seg     uint32 // 0 in a large blob's file
	off     uint32
}

// seed begins the sums of one volume's metadata.
type seed uint32

func newSeed(volume [16]byte) seed {
	return seed(crc32.Update(0, castagnoli, volume[:]))
}

func (s seed) sum(b []byte) uint32 { return crc32.Update(uint32(s), castagnoli, b) }

// encode writes the header to the first headerLen bytes of b.
func (h *header) encode(b []byte, s seed) {
	copy(b[:4], recordMagic)
	b[4], b[5], b[6], b[7] = recordVersion, h.kind, 0, 0
	copy(b[8:24], h.id[:])
	le := binary.LittleEndian
	le.PutUint64(b[24:], h.payload)
	le.PutUint64(b[32:], uint64(h.created))
	le.PutUint64(b[40:], h.durable)
	le.PutUint32(b[48:], h.desc)
	le.PutUint32(b[52:], h.seg)
	le.PutUint32(b[56:], h.off)
	le.PutUint32(b[60:], s.sum(b[:60]))
}

// parseHeader decodes a header that claims to lie at offset off of segment seg
// (both 0 for a large blob's file). It reports false unless magic, version,
// sum, place and lengths are all right.
func parseHeader(b []byte, s seed, seg, off uint32) (header, bool) {
	if len(b) < headerLen || string(b[:4]) != recordMagic || b[4] != recordVersion || b[6]|b[7] != 0 {
		return header{}, false
	}
	le := binary.LittleEndian
	h := header{
		kind:    b[5],
		id:      BlobID(b[8:24]),
		payload: le.Uint64(b[24:]),
		created: int64(le.Uint64(b[32:])),
		durable: le.Uint64(b[40:]),
		desc:    le.Uint32(b[48:]),
		seg:     le.Uint32(b[52:]),
		off:     le.Uint32(b[56:]),
	}
	if le.Uint32(b[60:]) != s.sum(b[:60]) || h.seg != seg || h.off != off || h.durable > uint64(off) {
		return header{}, false
	}
	switch h.kind {
	case kindBlob:
		limit := uint64(maxSmallLimit)
		if seg == 0 {
			limit = maxLargePayload
		}
		return h, h.payload <= limit && h.desc <= MaxDescriptor
	case kindTombstone:
		return h, h.desc == 0
	case kindMark:
		return h, h.desc == 0 && h.payload == 0
	}
	return header{}, false
}

// unknownRecord returns an error where a header is sound and lies in its place, and
// is of a version or a kind that this program does not know. Such a record is
// neither damaged nor torn: it is what a later release has written.
func unknownRecord(b []byte, s seed, seg, off uint32) error {
	le := binary.LittleEndian
	if len(b) < headerLen || string(b[:4]) != recordMagic || le.Uint32(b[60:]) != s.sum(b[:60]) || le.Uint32(b[52:]) != seg || le.Uint32(b[56:]) != off {
		return nil
	}
	known := b[5] == kindBlob || b[5] == kindTombstone || b[5] == kindMark
	if b[4] == recordVersion && known && b[6]|b[7] == 0 {
		return nil
	}
	return fmt.Errorf("the record at %d has format %d and kind %d, this program reads format %d: use the release that wrote it or a later one", off, b[4], b[5], recordVersion)
}

// length returns how many bytes the record takes in a segment.
func (h *header) length() int64 {
	if h.kind != kindBlob {
		return headerLen
	}
	return recordLen(int64(h.payload), int64(h.desc))
}

// place is a position in the log: a segment and an offset in it.
func place(seg, off uint32) uint64 { return uint64(seg)<<32 | uint64(off) }

// blockCount returns the number of blocks of a payload.
func blockCount(payload int64) int64 { return (payload + BlockSize - 1) / BlockSize }

// blocksLen returns the bytes that a payload takes with its sums.
func blocksLen(payload int64) int64 { return payload + sumLen*blockCount(payload) }

// blockOffset returns where block i begins, counted from the record.
func blockOffset(i int64) int64 { return headerLen + i*(BlockSize+sumLen) }

// fileLen returns the length of a large blob's file.
func fileLen(payload, desc int64) int64 { return headerLen + blocksLen(payload) + desc + sumLen }

// recordLen returns the bytes that a blob takes in a segment.
func recordLen(payload, desc int64) int64 {
	return (fileLen(payload, desc) + recordAlign - 1) &^ (recordAlign - 1)
}

// blockLen returns the payload bytes of block i.
func blockLen(payload, i int64) int64 { return min(BlockSize, payload-i*BlockSize) }

// putSum appends the sum of data, which ends at b[n], behind it.
func putSum(b []byte, n int, id BlobID, index uint32, data []byte) {
	binary.LittleEndian.PutUint32(b[n:], BlockCRC(id, index, data))
}

// checkSum reports whether raw, a run of bytes and its sum, is whole.
func checkSum(raw []byte, id BlobID, index uint32) bool {
	n := len(raw) - sumLen
	return n >= 0 && binary.LittleEndian.Uint32(raw[n:]) == BlockCRC(id, index, raw[:n])
}
