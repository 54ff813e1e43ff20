package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tdkvs/volume/vfs"
)

// defect is a part of a record that failed verification.
type defect struct {
	offset int64 // counted from the record
	part   string
}

// badPart checks the sums of a whole record but for its header, which h is. It
// returns the first part that fails, or nil.
func badPart(b []byte, h *header) *defect {
	payload := int64(h.payload)
	for i := range blockCount(payload) {
		at := blockOffset(i)
		if !checkSum(b[at:at+blockLen(payload, i)+sumLen], h.id, uint32(i)) {
			return &defect{at, blockPart(i)}
		}
	}
	at := headerLen + blocksLen(payload)
	if !checkSum(b[at:at+int64(h.desc)+sumLen], h.id, descriptorBlock) {
		return &defect{at, "descriptor"}
	}
	return nil
}

// readRecord reads a whole small blob and verifies every byte of it. The buffer
// is the caller's.
func (s *Store) readRecord(g *segment, id BlobID, e entry) (*buffer, error) {
	buf := s.bufs.get(int(e.recordLen()))
	b := buf.b[:e.recordLen()]
	err := s.checkRecord(g, id, e, b)
	if err != nil {
		s.bufs.put(buf)
		return nil, err
	}
	return buf, nil
}

func (s *Store) checkRecord(g *segment, id BlobID, e entry, b []byte) error {
	if _, err := g.file.ReadAt(b, int64(e.off)); err != nil {
		return s.corrupt(g.file.Name(), int64(e.off), id, "record", err)
	}
	h, ok := parseHeader(b, s.seed, e.seg, e.off)
	if !ok || !e.matches(id, &h) {
		return s.corrupt(g.file.Name(), int64(e.off), id, "header", nil)
	}
	if bad := badPart(b, &h); bad != nil {
		return s.corrupt(g.file.Name(), int64(e.off)+bad.offset, id, bad.part, nil)
	}
	return nil
}

// matches reports whether a record's header says what the index does.
func (e entry) matches(id BlobID, h *header) bool {
	return h.kind == kindBlob && h.id == id && int64(h.payload) == e.size() && h.created == e.created &&
		(e.large() || h.desc == e.desc)
}

// Verify implements Blobs.
func (s *Store) Verify(ctx context.Context, id BlobID) error {
	if err := s.verify(ctx, id, func(int64) error { return nil }); err != nil {
		return fmt.Errorf("verify blob %s: %w", id, err)
	}
	return nil
}

// verify tells read how many bytes it has read, as it goes. An error of read ends it.
func (s *Store) verify(ctx context.Context, id BlobID, read func(int64) error) error {
	for {
		e, err := s.lookup(ctx, id)
		if err != nil {
			return err
		}
		if e.large() {
			return s.corruptRead(s.verifyLarge(ctx, id, e, read))
		}
		err = s.verifySmall(id, e)
		switch {
		case err == nil:
			return read(e.recordLen())
		case !errors.Is(err, errMoved):
			return s.corruptRead(err)
		}
	}
}

func (s *Store) verifySmall(id BlobID, e entry) error {
	g, err := s.segmentOf(id, e)
	if err != nil {
		return err
	}
	defer g.release()
	buf, err := s.readRecord(g, id, e)
	s.bufs.put(buf)
	return err
}

func (s *Store) verifyLarge(ctx context.Context, id BlobID, e entry, read func(int64) error) error {
	file, err := s.largeFile(id, e)
	if err != nil {
		return err
	}
	r := &blobReader{ctx: ctx, s: s, id: id, size: e.size(), end: e.size(), name: file.Name(), file: file}
	defer func() { _ = r.Close() }() // never fails
	h, err := s.largeHeader(file, id, e)
	if err == nil {
		_, err = s.largeDescriptor(file, &h)
	}
	for err == nil {
		if err = r.verifyNext(); err == nil {
			err = read(int64(len(r.cur)))
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// largeHeader reads and verifies the header of a large blob.
func (s *Store) largeHeader(file vfs.File, id BlobID, e entry) (header, error) {
	var b [headerLen]byte
	if _, err := file.ReadAt(b[:], 0); err != nil {
		return header{}, s.corrupt(file.Name(), 0, id, "header", err)
	}
	h, ok := parseHeader(b[:], s.seed, largeSegment, 0)
	if !ok || !e.matches(id, &h) {
		return header{}, s.corrupt(file.Name(), 0, id, "header", nil)
	}
	return h, nil
}

func (s *Store) largeDescriptor(file vfs.File, h *header) ([]byte, error) {
	at := headerLen + blocksLen(int64(h.payload))
	return s.readDescriptor(file, at, h)
}

// readDescriptor reads and verifies the descriptor that lies at an offset.
func (s *Store) readDescriptor(file vfs.File, at int64, h *header) ([]byte, error) {
	b := make([]byte, h.desc+sumLen)
	if _, err := file.ReadAt(b, at); err != nil {
		return nil, s.corrupt(file.Name(), at, h.id, "descriptor", err)
	}
	if !checkSum(b, h.id, descriptorBlock) {
		return nil, s.corrupt(file.Name(), at, h.id, "descriptor", nil)
	}
	return b[:h.desc], nil
}

// Stat implements Blobs.
func (s *Store) Stat(ctx context.Context, id BlobID) (Info, error) {
	for {
		e, err := s.lookup(ctx, id)
		if err != nil {
			return Info{}, fmt.Errorf("stat blob %s: %w", id, err)
		}
		info, err := s.stat(id, e)
		if err == nil {
			return info, nil
		}
		if !errors.Is(err, errMoved) {
			return Info{}, fmt.Errorf("stat blob %s: %w", id, s.corruptRead(err))
		}
	}
}

func (s *Store) stat(id BlobID, e entry) (Info, error) {
	if e.large() {
		file, err := s.largeFile(id, e)
		if err != nil {
			return Info{}, err
		}
		defer func() { _ = file.Close() }() // what was read is verified, whatever it says
		return s.largeInfo(file, id, e)
	}
	g, err := s.segmentOf(id, e)
	if err != nil {
		return Info{}, err
	}
	defer g.release()
	return s.smallInfo(g, id, e)
}

// smallInfo reads and verifies what a small blob is.
func (s *Store) smallInfo(g *segment, id BlobID, e entry) (Info, error) {
	var b [headerLen]byte
	if _, err := g.file.ReadAt(b[:], int64(e.off)); err != nil {
		return Info{}, s.corrupt(g.file.Name(), int64(e.off), id, "header", err)
	}
	h, ok := parseHeader(b[:], s.seed, e.seg, e.off)
	if !ok || !e.matches(id, &h) {
		return Info{}, s.corrupt(g.file.Name(), int64(e.off), id, "header", nil)
	}
	desc, err := s.readDescriptor(g.file, int64(e.off)+headerLen+blocksLen(int64(h.payload)), &h)
	return h.info(desc), err
}

// largeInfo reads and verifies what a large blob is.
func (s *Store) largeInfo(file vfs.File, id BlobID, e entry) (Info, error) {
	h, err := s.largeHeader(file, id, e)
	if err != nil {
		return Info{}, err
	}
	desc, err := s.largeDescriptor(file, &h)
	return h.info(desc), err
}

// info is what a blob's header and descriptor say.
func (h *header) info(desc []byte) Info {
	return Info{ID: h.id, Size: int64(h.payload), Created: time.Unix(0, h.created), Descriptor: desc}
}
