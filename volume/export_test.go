package volume

import "context"

// Seal completes the active segment, as reaching SegmentSize does.
func (s *Store) Seal() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	j := &s.journal
	r := newRequest()
	j.mu.Lock()
	for j.leading { // let the present leader hand over, then take the lead
		j.queue = append(j.queue, r)
		j.mu.Unlock()
		if <-r.wake {
			j.mu.Lock()
			j.queue = j.queue[1:]
			break
		}
		j.mu.Lock()
	}
	j.leading = true
	j.mu.Unlock()
	defer j.handOver()
	j.endMu.Lock()
	defer j.endMu.Unlock()
	if j.active == nil {
		return nil
	}
	return j.seal()
}

// MarkIdle does what Run does when the log is idle.
func (s *Store) MarkIdle() error { return s.journal.idle() }

// PutBatch puts small blobs under one sync, as writers do that meet by chance.
func (s *Store) PutBatch(ids []BlobID, payloads [][]byte, desc func(BlobID) []byte) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	r := newRequest()
	for i, id := range ids {
		if !s.index.reserve(id) {
			return ErrExists
		}
		defer s.index.release(id) // does nothing once the blob is there
		d := desc(id)
		buf := make([]byte, recordLen(int64(len(payloads[i])), int64(len(d))))
		used := headerLen
		for at := 0; at < len(payloads[i]); at += BlockSize {
			block := payloads[i][at:min(at+BlockSize, len(payloads[i]))]
			copy(buf[used:], block)
			putSum(buf, used+len(block), id, uint32(at/BlockSize), block)
			used += len(block) + sumLen
		}
		finishRecord(buf, used, id, d)
		r.items = append(r.items, item{buf: buf, header: header{
			kind: kindBlob, id: id, payload: uint64(len(payloads[i])), desc: uint32(len(d)), created: 1,
		}})
	}
	return s.journal.commit(r)
}

// Queued returns how many requests wait for the journal's leader.
func (s *Store) Queued() int {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return len(s.journal.queue)
}

// DeleteWithCopy deletes a small blob in the batch in which compaction would
// have moved it.
func (s *Store) DeleteWithCopy(id BlobID, copyFirst bool) error {
	e, ok := s.index.get(id)
	if !ok {
		return ErrNotFound
	}
	g := s.segs.acquire(e.seg)
	defer g.release()
	buf, err := s.readRecord(g, id, e)
	if err != nil {
		return err
	}
	moved := item{
		header: header{kind: kindBlob, id: id, payload: uint64(e.length), desc: e.desc, created: e.created},
		buf:    buf.b[:e.recordLen()], from: e, copied: true,
	}
	r := newRequest()
	r.items = []item{{header: header{kind: kindTombstone, id: id}}, moved}
	if copyFirst {
		r.items[0], r.items[1] = r.items[1], r.items[0]
	}
	return s.journal.commit(r)
}

// ScrubOnce does one round of what Run does, without a bound.
func (s *Store) ScrubOnce(ctx context.Context) {
	s.scrubber.moveTo(scrubPosition{})
	r := &scrubRound{s: s, ctx: ctx, rate: func() int64 { return -1 }}
	_ = r.run() // ends early with ctx or the store
}

// Place is where a blob was at one moment.
type Place struct {
	s  *Store
	id BlobID
	e  entry
}

// Place returns where a blob is.
func (s *Store) Place(id BlobID) Place {
	e, _ := s.index.get(id)
	return Place{s, id, e}
}

// Read reads the blob there.
func (p Place) Read() error { return p.s.verifySmall(p.id, p.e) }

// Find notes damage to a blob, wherever it is.
func (s *Store) Find(id BlobID) { _ = s.corrupt("file", 0, id, "header", nil) }

// Remembered returns how many findings are held.
func (s *Store) Remembered() int {
	s.findings.mu.Lock()
	defer s.findings.mu.Unlock()
	return len(s.findings.list)
}
