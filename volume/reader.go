package volume

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
)

// largeReadRun is how many blocks of a large blob are read at a time, where
// there is memory for them.
const largeReadRun = 4

// blobReader hands out a range of a blob, block by block, each verified before
// any byte of it is seen.
type blobReader struct {
	ctx  context.Context
	s    *Store
	id   BlobID
	info *Info // what the blob is, to be read with it; nil: not asked for
	size int64 // payload of the whole blob
	name string
	base int64 // where the record begins in the file

	next, end int64 // payload offsets: next to verify, end of the range
	buf       *buffer
	run       int64  // blocks to read at a time; buf holds as many
	raw       []byte // blocks with their sums, read and not yet verified
	cur       []byte // verified and not yet handed out
	sum       uint32 // of the block that cur is of
	full      int    // the length of that block, where cur was all of it; else 0
	file      blobFile
	closed    bool
	err       error
}

// blobFile is where a reader gets more blocks from; nil when all are there.
type blobFile interface {
	io.ReaderAt
	io.Closer
}

// Read implements io.Reader.
func (r *blobReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.cur) == 0 {
		if err := r.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.cur)
	r.cur = r.cur[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: it passes each block on without a copy.
func (r *blobReader) WriteTo(w io.Writer) (written int64, err error) {
	for {
		if len(r.cur) == 0 {
			if err := r.advance(); errors.Is(err, io.EOF) {
				return written, nil
			} else if err != nil {
				return written, err
			}
		}
		n, err := w.Write(r.cur)
		written += int64(n)
		r.cur = r.cur[n:]
		if err != nil {
			return written, err
		}
		if len(r.cur) > 0 {
			return written, io.ErrShortWrite
		}
	}
}

// NextBlock implements BlockReader.
func (r *blobReader) NextBlock() (Block, error) {
	if len(r.cur) == 0 {
		if err := r.advance(); err != nil {
			return Block{}, err
		}
	}
	b := Block{Bytes: r.cur, Whole: len(r.cur) == r.full, Sum: r.sum, Stays: len(r.raw) > 0 && r.next < r.end}
	r.cur = nil
	return b, nil
}

// Close implements io.Closer. It never fails.
func (r *blobReader) Close() error {
	if r.closed {
		return nil
	}
	r.s.bufs.put(r.buf)
	r.closed, r.buf, r.raw, r.cur, r.err = true, nil, nil, nil, fs.ErrClosed
	if r.file != nil {
		_ = r.file.Close() // what was read is verified, whatever it says
	}
	return nil
}

// advance verifies the next block and makes its part of the range current.
func (r *blobReader) advance() error {
	if r.err == nil {
		r.err = r.s.corruptRead(r.verifyNext())
	}
	return r.err
}

func (r *blobReader) verifyNext() error {
	if r.next >= r.end {
		return io.EOF
	}
	if err := r.ctx.Err(); err != nil {
		return err
	}
	block := r.next / BlockSize
	if len(r.raw) == 0 {
		if err := r.fill(block); err != nil {
			return err
		}
	}
	n := blockLen(r.size, block)
	raw := r.raw[:n+sumLen]
	if !checkSum(raw, r.id, uint32(block)) {
		return r.corrupt(block, nil)
	}
	r.raw = r.raw[n+sumLen:]
	start := block * BlockSize
	r.cur = raw[r.next-start : min(n, r.end-start)]
	r.full = 0
	if int64(len(r.cur)) == n {
		r.sum, r.full = binary.LittleEndian.Uint32(raw[n:]), len(r.cur)
	}
	r.next = start + n
	return nil
}

// takeBuffer takes the memory for a run of blocks from one on, up to limit and
// no longer than the range; or for one block.
func (r *blobReader) takeBuffer(block, limit int64) {
	r.run = min(limit, blockCount(r.end)-block)
	if r.buf = r.s.bufs.offer(int(r.runLength(block)), r.s.cfg.ReadBudget); r.buf == nil {
		r.run = 1
		r.buf = r.s.bufs.get(int(r.runLength(block)))
	}
}

// runLength is the length of a run of blocks with their sums.
func (r *blobReader) runLength(block int64) int64 {
	return (r.run-1)*(BlockSize+sumLen) + blockLen(r.size, block+r.run-1) + sumLen
}

// fill reads the next run of blocks, no further than the range.
func (r *blobReader) fill(block int64) error {
	if r.buf == nil {
		r.takeBuffer(block, largeReadRun)
	}
	r.run = min(r.run, blockCount(r.end)-block)
	b := r.buf.b[:r.runLength(block)]
	if _, err := r.file.ReadAt(b, r.base+blockOffset(block)); err != nil {
		return r.corrupt(block, err)
	}
	r.raw = b
	return nil
}

func (r *blobReader) corrupt(block int64, cause error) error {
	return r.s.corrupt(r.name, r.base+blockOffset(block), r.id, blockPart(block), cause)
}
