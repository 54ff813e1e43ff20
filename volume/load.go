package volume

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"tdkvs/failpoint"
	"tdkvs/volume/vfs"
)

// loadSegments builds the index of the small blobs: from the footers of sealed
// segments, and by reading the records of the last one and of those whose
// footer is damaged.
func (s *Store) loadSegments() error {
	entries, err := s.fs.ReadDir(s.segs.dir)
	if err != nil {
		return err
	}
	var nums []uint32
	for _, entry := range entries {
		num, ok := parseSegmentName(entry.Name())
		if !ok {
			s.log.Warn("not a segment: left alone", "file", s.path(segmentsDir, entry.Name()))
			continue
		}
		nums = append(nums, num)
	}
	slices.Sort(nums)
	s.journal.next = 1
	for i, num := range nums {
		s.journal.next = num + 1
		if err := s.loadSegment(num, i == len(nums)-1); err != nil {
			return fmt.Errorf("%s: %w", s.segs.path(num), err)
		}
	}
	return nil
}

// loadSegment reads one segment in. The last one is where a crash may have left
// records that were never acknowledged; all others were synced as a whole.
func (s *Store) loadSegment(num uint32, last bool) (err error) {
	file, err := s.fs.Open(s.segs.path(num))
	if err != nil {
		return err
	}
	g := newSegment(num, file)
	size, err := file.Size()
	var header segmentHeader
	var whole bool
	if err == nil {
		header, whole, err = readSegmentHeader(file, size)
	}
	if err == nil && whole {
		err = s.checkSegmentHeader(header, num)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	s.segs.add(g) // from here on closed with the store
	rows, end, err := readFooter(file, s.seed, num, size)
	switch {
	case err == nil:
		g.sealed = true
		g.size = end
		if !whole {
			s.quarantineHeader(g)
		}
		s.quarantineGaps(g, rowGaps(rows, num, end))
		s.loadRows(g, rows)
		if last { // a crash may have come between writing the footer and its sync
			return s.settleFooter(g, rows, end)
		}
		return nil
	case !errors.Is(err, errNoFooter):
		return err
	case last:
		return s.recoverTail(g, size, whole)
	}
	return s.rescan(g, size, whole)
}

// settleFooter writes the end of a sealed segment again: the footer, and the
// mark before it, which is synced with it. Of both the page cache may hold what
// the disk does not, after a crash or a sync that failed.
func (s *Store) settleFooter(g *segment, rows []byte, end int64) error {
	if n := len(rows) - rowLen; n >= 0 {
		if h := parseRow(rows[n:], g.num); h.kind == kindMark {
			if err := s.settleMark(g, int64(h.off)); err != nil {
				return err
			}
		}
	}
	if _, err := g.file.WriteAt(appendTrailer(slices.Clone(rows), s.seed, g.num, end), end); err != nil {
		return err
	}
	failpoint.At("recover/footed")
	return s.syncLoaded(g.file)
}

func (s *Store) settleMark(g *segment, off int64) error {
	var b [headerLen]byte
	if _, err := g.file.ReadAt(b[:], off); err != nil {
		return fmt.Errorf("read mark: %w", err)
	}
	if _, ok := parseHeader(b[:], s.seed, g.num, uint32(off)); !ok {
		return nil // nobody needs it any more
	}
	_, err := g.file.WriteAt(b[:], off)
	return err
}

func (s *Store) syncLoaded(file vfs.File) error {
	if err := s.sync(file); err != nil {
		return err
	}
	return s.syncDir(s.segs.dir)
}

func readSegmentHeader(file vfs.File, size int64) (segmentHeader, bool, error) {
	var b [segmentHeaderLen]byte
	if size < segmentHeaderLen {
		return segmentHeader{}, false, nil
	}
	if _, err := file.ReadAt(b[:], 0); err != nil {
		return segmentHeader{}, false, fmt.Errorf("read segment header: %w", err)
	}
	h, ok := parseSegmentHeader(b[:])
	return h, ok, nil
}

// checkSegmentHeader refuses a segment that is whole but not ours.
func (s *Store) checkSegmentHeader(h segmentHeader, num uint32) error {
	switch {
	case h.version != segmentVersion:
		return fmt.Errorf("segment has format %d, this program reads format %d: use the release that wrote it or a later one", h.version, segmentVersion)
	case h.volume != s.id:
		return fmt.Errorf("%w: the segment belongs to volume %x", ErrWrongVolume, h.volume)
	case h.num != num:
		return fmt.Errorf("the file holds segment %d: it was renamed", h.num)
	}
	return nil
}

// quarantineHeader reports a damaged segment header. Its records are not
// affected: they are read by the file's name and the volume's UUID.
func (s *Store) quarantineHeader(g *segment) {
	s.quarantined.Add(1)
	s.logDamage(s.describe(g.file.Name(), 0, BlobID{}, "segment header", nil))
}

// quarantineGaps reports bytes between records that were acknowledged and can
// not be read.
func (s *Store) quarantineGaps(g *segment, gaps []gap) {
	for _, gap := range gaps {
		_ = s.quarantine(g, gap.from, BlobID{}, fmt.Sprintf("%d bytes of records", gap.to-gap.from), nil)
	}
}

// loadRows brings what a segment holds into the index. Segments come in the
// order of their numbers, so whatever a tombstone kills is there already.
func (s *Store) loadRows(g *segment, rows []byte) {
	for ; len(rows) > 0; rows = rows[rowLen:] {
		h := parseRow(rows, g.num)
		switch {
		case h.id == (BlobID{}): // a mark: no blob has this id
		case h.kind == kindBlob:
			s.loadBlob(g, &h)
		case h.kind == kindTombstone:
			s.loadTombstone(g, &h)
		}
	}
}

func (s *Store) loadBlob(g *segment, h *header) {
	g.live += h.length()
	old, replaced := s.index.set(h.id, entry{seg: h.seg, off: h.off, length: uint32(h.payload), desc: h.desc, created: h.created})
	if replaced { // compaction copied it and was interrupted before it removed the old segment
		s.died(old)
		s.segs.supersede(old.seg)
	}
}

func (s *Store) loadTombstone(g *segment, h *header) {
	target := uint32(h.payload >> 32)
	g.tombs[target]++
	e, ok := s.index.get(h.id)
	if !ok || place(e.seg, e.off) > h.payload {
		return
	}
	s.index.remove(h.id, e)
	s.died(e)
	if e.seg != target { // the copy that was deleted is gone, an older one is not
		s.segs.supersede(e.seg)
	}
}

// rescan reads the records of a segment that was sealed but whose footer can
// not be used. Everything in it was acknowledged, so what can not be read is
// damage.
func (s *Store) rescan(g *segment, size int64, headerWhole bool) error {
	scan, err := scanRecords(g.file, s.seed, g.num, size)
	if err != nil {
		return err
	}
	g.size = scan.end
	zero, err := allZero(g.file, scan.end, size)
	if err != nil {
		return err
	}
	if len(scan.records) == 0 && len(scan.gaps) == 0 && zero {
		// Made when the disk was full, never written to, and not removed then.
		return s.dropEmpty(g)
	}
	s.log.Warn("segment has no usable footer: its records were read instead", "file", g.file.Name(), "records", len(scan.records))
	g.sealed = true
	if !headerWhole {
		s.quarantineHeader(g)
	}
	s.quarantineGaps(g, scan.gaps)
	if !zero {
		_ = s.quarantine(g, scan.end, BlobID{}, "footer", nil)
	}
	s.loadRows(g, scan.rows())
	return nil
}

// dropEmpty removes a segment that holds no records.
func (s *Store) dropEmpty(g *segment) error {
	s.segs.forget(g)
	if err := errors.Join(g.file.Close(), s.fs.Remove(g.file.Name())); err != nil {
		return err
	}
	return s.syncDir(s.segs.dir)
}

// allZero reports whether a file is zero between two offsets.
func allZero(file vfs.File, from, to int64) (bool, error) {
	buf := make([]byte, min(scanWindow, max(to-from, 0)))
	zero := make([]byte, len(buf))
	for from < to {
		b := buf[:min(int64(len(buf)), to-from)]
		if _, err := file.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if !bytes.Equal(b, zero[:len(b)]) {
			return false, nil
		}
		from += int64(len(b))
	}
	return true, nil
}
