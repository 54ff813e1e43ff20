package volume

import (
	"errors"
	"time"

	"tdkvs/failpoint"
)

// PutUnsynced is Put of a small blob that waits for no disk: the blob can be read at
// once, and outlives the process. It is durable with the next write that is, and after
// Config.SyncAfter at the latest; until then a power cut may take it back, and with it
// all that were put in this way after it. It reports false where it has done nothing: a
// Put has to wait, as the log must grow or begin a segment, or it would fail, as there is
// such a blob already.
func (s *Store) PutUnsynced(id BlobID, payload, desc []byte) bool {
	size := int64(len(payload))
	if id == (BlobID{}) || size > s.cfg.SmallLimit || len(desc) > MaxDescriptor || s.failure() != nil || s.enter() != nil {
		return false
	}
	defer s.leave()
	room, err := s.admit(id, size)
	if err != nil {
		return false
	}
	defer room.settle()
	length := recordLen(size, int64(len(desc)))
	buf := s.bufs.offer(int(length), s.cfg.WriteBudget)
	if buf == nil {
		return false
	}
	defer s.bufs.put(buf)
	if !s.index.reserve(id) {
		return false
	}
	it := item{header: header{kind: kindBlob, id: id, payload: uint64(size), desc: uint32(len(desc)), created: s.cfg.Clock().UnixNano()}}
	it.buf = buf.b[:length]
	used := headerLen
	for i := int64(0); i < blockCount(size); i++ {
		n := copy(it.buf[used:], payload[i*BlockSize:][:blockLen(size, i)])
		putSum(it.buf[used:], n, id, uint32(i), it.buf[used:used+n])
		used += n + sumLen
	}
	finishRecord(it.buf, used, id, desc)
	if !s.journal.appendUnsynced(&it) {
		s.index.release(id)
		return false
	}
	return true
}

// appendUnsynced writes a record behind the last one, also while the leader syncs, and
// makes it visible. It reports false where nothing was written.
func (j *journal) appendUnsynced(it *item) bool {
	j.endMu.Lock()
	defer j.endMu.Unlock()
	fits := j.active != nil && j.end+it.length() <= min(j.allocated, j.s.cfg.SegmentSize) && len(j.rows)/rowLen < maxSegmentRows
	if !fits {
		return false
	}
	it.durable, it.seg, it.off = uint64(j.synced), j.active.num, uint32(j.end)
	it.encode(it.buf, j.s.seed)
	if _, err := j.active.file.WriteAt(it.buf, j.end); err != nil {
		_ = j.undo("write segment", err) // whoever writes next is told
		return false
	}
	j.wrote(it)
	j.publishBlob(it)
	j.s.gauge.written.Add(it.length())
	j.s.writes.Add(1)
	j.active.grew(it.length(), it.length())
	if j.unsynced = true; !j.watched && j.s.cfg.SyncAfter > 0 {
		j.watch()
	}
	failpoint.At("log/unsynced")
	return true
}

// watch looks after a while whether the log was synced meanwhile. The caller holds endMu.
func (j *journal) watch() {
	synced, seg := j.synced, j.active.num
	j.watched = true
	time.AfterFunc(j.s.cfg.SyncAfter, func() {
		j.endMu.Lock()
		j.watched = false
		late := j.unsynced && j.synced == synced && j.active.num == seg
		if j.unsynced && !late {
			j.watch()
		}
		j.endMu.Unlock()
		if late {
			j.s.syncUnsynced()
		}
	})
}

// syncUnsynced makes durable what is unsynced by now.
func (s *Store) syncUnsynced() {
	r := newRequest() // of no record: a sync alone
	if err := s.commit(r); err != nil && !errors.Is(err, errClosed) {
		s.log.Error("records could not be made durable", "error", err)
	}
}
