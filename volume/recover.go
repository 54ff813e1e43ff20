package volume

import (
	"fmt"

	"tdkvs/failpoint"
)

// recoverTail reads the last segment, which has no footer, and makes it the
// active one again.
//
// Batches are written one after the other, each only once the one before it is
// durable, and every record tells up to where the log was. So of the bytes that
// a record calls durable all were promised: if they can not be read, they
// are damaged, and set aside. What no later record vouches for is the last
// batch, and what was put unsynced around it; a record that is not whole there was
// torn by the crash, was never promised to outlive it, and is cut off with all that
// follows it.
//
// The cut is synced before anything is appended: bytes of a torn batch can not
// come back behind new records. What stays of the last batch is written and
// synced again.
func (s *Store) recoverTail(g *segment, size int64, headerWhole bool) error {
	scan, err := scanRecords(g.file, s.seed, g.num, size)
	if err != nil {
		return err
	}
	durable := int64(0)
	for _, h := range scan.records {
		durable = max(durable, int64(h.durable))
	}
	if err := s.cutTorn(g, scan, durable); err != nil {
		return err
	}
	failpoint.At("recover/written")
	if len(scan.records) == 0 && len(scan.gaps) == 0 {
		if size > segmentHeaderLen {
			s.log.Warn("segment holds nothing that was acknowledged: removed", "file", g.file.Name(), "bytes", size)
		}
		return s.dropEmpty(g)
	}
	if !headerWhole {
		s.quarantineHeader(g)
	}
	s.quarantineGaps(g, scan.gaps)
	allocated, err := s.settle(g, scan.end, size)
	if err != nil {
		return err
	}
	failpoint.At("recover/settled")
	g.size = scan.end
	rows := scan.rows()
	s.loadRows(g, rows)
	s.journal.continueWith(g, scan.end, rows)
	s.journal.allocated = allocated
	n := len(scan.records)
	s.journal.marked = n > 0 && scan.records[n-1].kind == kindMark
	return nil
}

// cutTorn shortens scan to what was acknowledged, or may have been, and writes
// what may have been again.
func (s *Store) cutTorn(g *segment, scan *scan, durable int64) error {
	torn := scan.end
	for i, gap := range scan.gaps {
		if gap.from >= durable {
			torn = gap.from
			scan.gaps = scan.gaps[:i]
			break
		}
	}
	keep := 0
	for ; keep < len(scan.records); keep++ {
		h := &scan.records[keep]
		if int64(h.off) >= torn {
			break
		}
		if int64(h.off) < durable {
			continue // known to have been whole; each read verifies it anyway
		}
		whole, err := s.writeAgain(g, h)
		if err != nil {
			return err
		}
		if !whole {
			torn = int64(h.off)
			break
		}
	}
	for i := keep; i < len(scan.records); i++ {
		h := &scan.records[i]
		s.log.Warn("record was not acknowledged before the crash: cut off", "file", g.file.Name(), "offset", h.off, "blob", h.id)
	}
	scan.records, scan.end = scan.records[:keep], torn
	return nil
}

// writeAgain writes a record to where it is, if every sum of it is right, and
// reports whether it is. The bytes may so far exist in the page cache only, also
// where a sync failed and the kernel took the pages for clean: so the sync that
// follows would not be enough.
func (s *Store) writeAgain(g *segment, h *header) (whole bool, err error) {
	buf := s.bufs.get(int(h.length()))
	defer s.bufs.put(buf)
	b := buf.b[:h.length()]
	if _, err := g.file.ReadAt(b, int64(h.off)); err != nil {
		return false, fmt.Errorf("read record: %w", err)
	}
	now, ok := parseHeader(b, s.seed, g.num, h.off)
	if !ok || now != *h || h.kind == kindBlob && badPart(b, h) != nil {
		return false, nil
	}
	_, err = g.file.WriteAt(b, int64(h.off))
	return true, err
}

// settle makes a tail that ends at end safe to append to, and returns the length of the
// file: what was taken in advance and never written stays taken, as a full disk does
// not give it twice, and without it no deletion could be recorded.
func (s *Store) settle(g *segment, end, size int64) (allocated int64, err error) {
	clean := true
	if size > end {
		if clean, err = allZero(g.file, end, size); err != nil {
			return 0, err
		}
	}
	if !clean {
		s.log.Warn("cut off the end of the log: a crash tore it before it was acknowledged", "file", g.file.Name(), "offset", end, "bytes", size-end)
		if err := g.file.Truncate(end); err != nil {
			return 0, err
		}
		size = end
	}
	return max(size, end), s.syncLoaded(g.file)
}
