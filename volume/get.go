package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"tdkvs/volume/vfs"
)

// Get implements Blobs. Damage in the first blocks already fails Get itself, so
// that the caller can turn to another copy before anything was sent.
func (s *Store) Get(ctx context.Context, id BlobID, offset, length int64) (io.ReadCloser, error) {
	r, err := s.begin(blobReader{ctx: ctx, s: s, id: id}, offset, length)
	if err != nil {
		return nil, fmt.Errorf("get blob %s: %w", id, err)
	}
	return r, nil
}

// Open implements Blobs. Damage fails it as it fails Get.
func (s *Store) Open(ctx context.Context, id BlobID, offset, length int64) (Info, io.ReadCloser, error) {
	var info Info
	r, err := s.begin(blobReader{ctx: ctx, s: s, id: id, info: &info}, offset, length)
	if err != nil {
		return Info{}, nil, fmt.Errorf("open blob %s: %w", id, err)
	}
	r.info = nil // the caller's from now on
	return info, r, nil
}

// begin opens a range of a blob for a reader and verifies its first block.
func (s *Store) begin(from blobReader, offset, length int64) (*blobReader, error) {
	r, err := s.reader(from, offset, length)
	if err != nil {
		return nil, s.corruptRead(err)
	}
	if err := r.advance(); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// reader opens a range of a blob for a reader.
func (s *Store) reader(from blobReader, offset, length int64) (*blobReader, error) {
	for {
		e, err := s.lookup(from.ctx, from.id)
		if err != nil {
			return nil, err
		}
		r := from
		r.size = e.size()
		if r.next, r.end, err = span(e.size(), offset, length); err != nil {
			return nil, err
		}
		if e.large() {
			err = s.openLarge(&r, e)
		} else {
			err = s.openSmall(&r, e)
		}
		if err == nil {
			return &r, nil
		}
		_ = r.Close() // nothing was read
		if !errors.Is(err, errMoved) {
			return nil, err
		}
	}
}

// lookup finds a blob that is there, for a caller that has not given up.
func (s *Store) lookup(ctx context.Context, id BlobID) (entry, error) {
	if err := ctx.Err(); err != nil {
		return entry{}, err
	}
	if err := s.enter(); err != nil {
		return entry{}, err
	}
	defer s.leave()
	e, ok := s.index.get(id)
	if !ok {
		return entry{}, ErrNotFound
	}
	return e, nil
}

// span checks a range against a payload's size.
func span(size, offset, length int64) (from, to int64, err error) {
	if offset < 0 || offset > size || length < -1 || length > size-offset {
		return 0, 0, fmt.Errorf("%w: range of %d bytes from %d in a blob of %d", ErrInvalid, length, offset, size)
	}
	if length == -1 {
		length = size - offset
	}
	return offset, offset + length, nil
}

// errMoved says that a blob has left the place where the index had it: look
// again.
var errMoved = errors.New("blob was moved or deleted meanwhile")

// segmentOf returns the segment of a small blob, to be released. Where it is
// gone, compaction has moved the blob on, or it was deleted, and the index
// knows.
func (s *Store) segmentOf(id BlobID, e entry) (*segment, error) {
	if g := s.segs.acquire(e.seg); g != nil {
		return g, nil
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if now, ok := s.index.get(id); ok && now == e {
		return nil, s.corrupt(s.segs.path(e.seg), int64(e.off), id, "segment", fs.ErrNotExist)
	}
	return nil, errMoved
}

// openSmall reads the blocks of a range at once: they are few, and the segment
// can go as soon as it is read. Where there is no memory for all of them it opens
// the segment's file once more, which stays readable whatever becomes of the
// segment.
func (s *Store) openSmall(r *blobReader, e entry) error {
	if r.next == r.end && r.info == nil {
		return nil
	}
	g, err := s.segmentOf(r.id, e)
	if err != nil {
		return err
	}
	defer g.release()
	if r.info != nil {
		if *r.info, err = s.smallInfo(g, r.id, e); err != nil || r.next == r.end {
			return err
		}
	}
	r.name, r.base = g.file.Name(), int64(e.off)
	first := r.next / BlockSize
	blocks := blockCount(r.end) - first
	r.takeBuffer(first, blocks)
	if r.run < blocks {
		r.file, err = s.reopen(r.name)
		return err
	}
	r.file = g.file
	err = r.fill(first)
	r.file = nil
	return err
}

// reopen opens the file of a segment that a reader has found.
func (s *Store) reopen(name string) (vfs.File, error) {
	file, err := s.fs.OpenRead(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errMoved
	case err != nil && isExhausted(err):
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return file, err
}

// openLarge opens the file of a large blob: it stays readable when the blob is
// deleted.
func (s *Store) openLarge(r *blobReader, e entry) error {
	file, err := s.largeFile(r.id, e)
	if err != nil {
		return err
	}
	r.name, r.file = file.Name(), file
	if r.info != nil {
		*r.info, err = s.largeInfo(file, r.id, e)
	}
	return err
}

func (s *Store) largeFile(id BlobID, e entry) (vfs.File, error) {
	name := s.largePath(id, e)
	file, err := s.fs.OpenRead(name)
	if err == nil {
		return file, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		// A deletion that is under way has removed the file and then removes
		// the index entry: wait for it before calling the file lost.
		s.removing.Lock()
		now, ok := s.index.get(id)
		s.removing.Unlock()
		if !ok || now != e {
			return nil, ErrNotFound
		}
	}
	if isExhausted(err) {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil, s.corrupt(name, 0, id, "file", err)
}

func blockPart(block int64) string { return "block " + strconv.FormatInt(block, 10) }
