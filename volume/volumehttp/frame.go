package volumehttp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"tdkvs/volume"
)

// A stream is a sequence of frames, each a header of 12 bytes and a payload:
//
//	 0  1  kind: 'D' data, 'M' descriptor, 'I' info, 'Z' end, 'E' error
//	 1  1  zero
//	 2  2  u16  data: where in its block the payload begins; else zero
//	 4  4  u32  payload length
//	 8  4  u32  checksum
//	12  n  payload
//
// Numbers are little-endian. A data frame ends where its block or the stream's
// range ends, so a whole block is one frame, and its checksum is the one that
// the store keeps: volume.BlockCRC(id, block number, payload). Other kinds take
// 0xFFFFFF00 | kind for the block number, so that no frame can pass for one of
// another kind. The payload of the end is the count of data bytes in the stream
// (u64), that of an error is JSON: {"code": ..., "message": ...}, or empty in a put.
// That of an info is what the blob is: its size (u64), when it was created (i64, ns
// since 1970) and its descriptor.
//
// A put is D* M Z, or D* E where the client has to give up. A get is D* Z, or
// D* E where the store failed midway; where it was asked what the blob is, I
// comes first.
const (
	frameHeader = 12

	kindData       = 'D'
	kindDescriptor = 'M'
	kindInfo       = 'I'
	kindEnd        = 'Z'
	kindError      = 'E'

	infoPayload     = 16 // before the descriptor
	endPayload      = 8
	maxErrorPayload = 4 << 10
)

// errDamaged is a frame that is not what was sent. It says nothing about the
// stored bytes: the peer verified those.
var errDamaged = errors.New("damaged in transit")

// putHeader writes the header of a frame into dst, which is frameHeader long.
// offset is where in the blob a data frame begins.
func putHeader(dst []byte, id volume.BlobID, kind byte, offset int64, payload []byte) {
	within := uint16(0)
	if kind == kindData {
		within = uint16(offset % volume.BlockSize)
	}
	dst[0], dst[1] = kind, 0
	binary.LittleEndian.PutUint16(dst[2:], within)
	binary.LittleEndian.PutUint32(dst[4:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(dst[8:], frameChecksum(id, kind, offset, payload))
}

// appendHeader appends the header of the data frame for a block that begins at offset.
// A whole block brings its checksum along.
func appendHeader(dst []byte, id volume.BlobID, offset int64, block volume.Block) []byte {
	sum := block.Sum
	if !block.Whole {
		sum = frameChecksum(id, kindData, offset, block.Bytes)
	}
	dst = append(dst, kindData, 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(offset%volume.BlockSize))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(block.Bytes)))
	return binary.LittleEndian.AppendUint32(dst, sum)
}

func frameChecksum(id volume.BlobID, kind byte, offset int64, payload []byte) uint32 {
	number := 0xFFFFFF00 | uint32(kind)
	if kind == kindData {
		number = uint32(offset / volume.BlockSize)
	}
	return volume.BlockCRC(id, number, payload)
}

// appendFrame appends a frame that is not data.
func appendFrame(dst []byte, id volume.BlobID, kind byte, payload []byte) []byte {
	var header [frameHeader]byte
	putHeader(header[:], id, kind, 0, payload)
	return append(append(dst, header[:]...), payload...)
}

// appendEnd appends the end frame of a stream of total data bytes.
func appendEnd(dst []byte, id volume.BlobID, total int64) []byte {
	var payload [endPayload]byte
	binary.LittleEndian.PutUint64(payload[:], uint64(total))
	return appendFrame(dst, id, kindEnd, payload[:])
}

// appendInfo appends the frame that says what a blob is.
func appendInfo(dst []byte, info volume.Info) []byte {
	payload := make([]byte, infoPayload, infoPayload+len(info.Descriptor))
	binary.LittleEndian.PutUint64(payload, uint64(info.Size))
	binary.LittleEndian.PutUint64(payload[8:], uint64(info.Created.UnixNano()))
	return appendFrame(dst, info.ID, kindInfo, append(payload, info.Descriptor...))
}

// infoOf is what the payload of an info frame says. The descriptor is a copy.
func infoOf(id volume.BlobID, payload []byte) volume.Info {
	return volume.Info{
		ID:         id,
		Size:       int64(binary.LittleEndian.Uint64(payload)),
		Created:    time.Unix(0, int64(binary.LittleEndian.Uint64(payload[8:]))),
		Descriptor: bytes.Clone(payload[infoPayload:]),
	}
}

// frameBuffer is what a frameReader's buffer must hold at least: the largest frame
// and an end. The kernel reads ahead.
const frameBuffer = largestFrame + frameHeader + endPayload

// largestFrame is the length of the largest frame of data.
const largestFrame = frameHeader + volume.BlockSize

// peeker is where a frameReader finds frames, and passes over those that it has shown.
// Peek returns io.EOF where fewer bytes than asked for are left before the end.
type peeker interface {
	Peek(n int) ([]byte, error)
	Discard(n int) (int, error)
}

// frameReader takes a stream apart. It checks each frame before it shows it.
type frameReader struct {
	id      volume.BlobID
	r       peeker // of frameBuffer at least
	offset  int64  // in the blob, of the next data byte
	partial bool   // the last data frame ended inside its block
	shown   int    // bytes of the frame that next returned last
}

// next returns the kind and payload of the next frame; the payload is valid
// until the next call. A stream that ends between frames, too, has been cut:
// io.ErrUnexpectedEOF. A frame that fails its check is errDamaged.
func (f *frameReader) next() (byte, []byte, error) {
	if _, err := f.r.Discard(f.shown); err != nil {
		return 0, nil, err // can not be: these bytes were peeked at
	}
	f.shown = 0
	header, err := f.r.Peek(frameHeader)
	if err != nil {
		return 0, nil, cut(err)
	}
	kind, length := header[0], binary.LittleEndian.Uint32(header[4:])
	if err := f.checkHeader(header, kind, length); err != nil {
		return 0, nil, err
	}
	whole, err := f.r.Peek(frameHeader + int(length))
	if err != nil {
		return 0, nil, cut(err)
	}
	payload := whole[frameHeader:]
	if frameChecksum(f.id, kind, f.offset, payload) != binary.LittleEndian.Uint32(whole[8:]) {
		return 0, nil, fmt.Errorf("checksum of a %q frame at byte %d: %w", kind, f.offset, errDamaged)
	}
	f.shown = len(whole)
	if kind == kindData {
		f.offset += int64(length)
		f.partial = f.offset%volume.BlockSize != 0
	}
	return kind, payload, nil
}

// checkHeader refuses what no peer sends, lest a damaged length decides how
// much is read.
func (f *frameReader) checkHeader(header []byte, kind byte, length uint32) error {
	within := int64(binary.LittleEndian.Uint16(header[2:]))
	want, ok := int64(0), false
	switch kind {
	case kindData:
		want = f.offset % volume.BlockSize
		ok = !f.partial && length > 0 && int64(length) <= volume.BlockSize-want
	case kindDescriptor:
		ok = length <= volume.MaxDescriptor
	case kindInfo:
		ok = length >= infoPayload && length <= infoPayload+volume.MaxDescriptor
	case kindEnd:
		ok = length == endPayload
	case kindError:
		ok = length <= maxErrorPayload
	}
	if !ok || header[1] != 0 || within != want {
		return fmt.Errorf("frame header % x at byte %d: %w", header, f.offset, errDamaged)
	}
	return nil
}

// end checks that a stream of total data bytes ends with this payload of an end
// frame and nothing after it. Reading up to the end of the HTTP body is also
// what lets its connection be used again.
func (f *frameReader) end(payload []byte, total int64) error {
	if got := binary.LittleEndian.Uint64(payload); got != uint64(total) {
		return fmt.Errorf("stream of %d bytes says it has %d: %w", total, got, errDamaged)
	}
	return f.drained()
}

// drained checks that nothing follows the frame that next returned last.
func (f *frameReader) drained() error {
	if _, err := f.r.Discard(f.shown); err != nil {
		return err
	}
	f.shown = 0
	switch _, err := f.r.Peek(1); {
	case err == nil:
		return fmt.Errorf("bytes after the end of the stream: %w", errDamaged)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// cut says of an end of file that it came too early.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
