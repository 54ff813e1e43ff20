package volume

import (
	"errors"
	"fmt"
	"sync"

	"tdkvs/failpoint"
	"tdkvs/volume/vfs"
)

// stageLen is how many bytes of small records are gathered for one write call;
// a record above stageDirect is written from where it is.
const (
	stageLen    = 1 << 20
	stageDirect = 128 << 10
)

// tail is the growing end of the log. Only the journal's leader touches it, but for the
// unsynced records that others write behind its batch while it syncs.
//
// A batch is durable in this order: records are written behind the last one, into space
// allocated before; one fdatasync; only then the index learns of them. So a crash can
// damage the last batch alone, and what is unsynced before and behind it, and each record
// says (in its durable field) up to where the log was durable when it was written.
type tail struct {
	endMu     sync.Mutex // guards what follows; the leader changes active, and does not hold it as it syncs
	active    *segment   // nil: the next write makes one
	end       int64      // where its records end
	synced    int64      // all before is durable: end, or short of it by a mark and what is unsynced
	written   int64      // where the leader's batch ends
	unsynced  bool       // there are records behind written
	watched   bool       // somebody sees to it that they do not stay so
	allocated int64      // its length with the space taken in advance
	rows      []byte     // its footer so far
	marked    bool       // a mark says that all of it is durable
	next      uint32     // number of the next segment
	stage     []byte
}

// write makes a batch durable and visible.
func (j *journal) write(batch []*request) error {
	if err := j.s.failure(); err != nil {
		return err
	}
	if needed, err := j.writeBatch(batch); err != nil || !needed {
		return err
	}
	failpoint.At("log/written")
	if err := j.s.sync(j.active.file); err != nil {
		return j.s.fail("sync segment", err)
	}
	failpoint.At("log/synced")
	j.publish(batch)
	failpoint.At("log/published")
	return nil
}

// writeBatch writes the records of a batch, and reports whether a sync is needed.
func (j *journal) writeBatch(batch []*request) (needed bool, err error) {
	j.endMu.Lock()
	defer j.endMu.Unlock()
	total := j.plan(batch)
	if total == 0 && !j.unsynced {
		return false, nil
	}
	if total > 0 {
		if err := j.room(total); err != nil {
			return false, err
		}
		if err := j.append(batch); err != nil {
			return false, j.undo("write segment", err)
		}
		each(batch, func(it *item) {
			if !it.skip {
				j.wrote(it)
			}
		})
		j.s.gauge.written.Add(total)
	}
	j.written, j.unsynced = j.end, false
	return true, nil
}

// wrote takes note of a record that is in the log. The caller holds endMu.
func (j *journal) wrote(it *item) {
	j.rows = appendRow(j.rows, &it.header)
	j.end += it.length()
	j.marked = false
}

// plan decides what each item comes to, now that everything before it is
// visible, and returns the bytes to write.
func (j *journal) plan(batch []*request) (total int64) {
	var killed map[BlobID]bool // by this batch
	each(batch, func(it *item) {
		if it.kind != kindTombstone || it.copied {
			return
		}
		from, ok := j.s.index.get(it.id)
		it.from, it.skip = from, !ok || from.large()
		if !it.skip {
			it.payload = place(it.from.seg, it.from.off)
			if killed == nil {
				killed = make(map[BlobID]bool)
			}
			killed[it.id] = true
		}
	})
	each(batch, func(it *item) {
		if it.kind == kindBlob && it.copied {
			// A copy written beside its tombstone would outlive it.
			now, ok := j.s.index.get(it.id)
			it.skip = !ok || now != it.from || killed[it.id]
		}
		if !it.skip {
			total += it.length()
		}
	})
	return total
}

// each calls f for all items of a batch, in log order.
func each(batch []*request, f func(*item)) {
	for _, r := range batch {
		for i := range r.items {
			f(&r.items[i])
		}
	}
}

// append writes the records of a batch behind each other.
func (j *journal) append(batch []*request) error {
	w := stager{file: j.active.file, buf: j.stage[:0], at: j.end}
	off := j.end
	for _, r := range batch {
		for i := range r.items {
			it := &r.items[i]
			if it.skip {
				continue
			}
			it.durable, it.seg, it.off = uint64(j.synced), j.active.num, uint32(off)
			if err := w.record(it, j.s.seed); err != nil {
				return err
			}
			off += it.length()
		}
	}
	err := w.flush()
	j.stage = w.buf[:0]
	return err
}

// stager gathers small records into long writes.
type stager struct {
	file vfs.File
	buf  []byte // not yet written
	at   int64  // where buf belongs
}

func (w *stager) record(it *item, s seed) error {
	if it.buf == nil {
		var b [headerLen]byte
		it.encode(b[:], s)
		return w.add(b[:])
	}
	it.encode(it.buf, s)
	return w.add(it.buf[:it.length()])
}

func (w *stager) add(b []byte) error {
	if len(w.buf)+len(b) > stageLen || len(b) > stageDirect {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if len(b) > stageDirect {
		if _, err := w.file.WriteAt(b, w.at); err != nil {
			return err
		}
		w.at += int64(len(b))
		return nil
	}
	w.buf = append(w.buf, b...)
	return nil
}

func (w *stager) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	if _, err := w.file.WriteAt(w.buf, w.at); err != nil {
		return err
	}
	w.at += int64(len(w.buf))
	w.buf = w.buf[:0]
	return nil
}

// publish makes a synced batch visible.
func (j *journal) publish(batch []*request) {
	j.endMu.Lock()
	defer j.endMu.Unlock()
	acknowledged := uint64(0)
	var size, live int64
	each(batch, func(it *item) {
		if it.skip {
			return
		}
		size += it.length()
		if it.kind == kindBlob && j.publishBlob(it) {
			live += it.length()
		}
		if it.kind == kindTombstone {
			j.publishTombstone(it)
		}
		if !it.copied {
			acknowledged++
		}
	})
	j.synced = j.written
	j.s.writes.Add(acknowledged)
	j.active.grew(size, live)
}

func (j *journal) publishBlob(it *item) bool {
	to := entry{seg: it.seg, off: it.off, length: uint32(it.payload), desc: it.desc, created: it.created}
	if !it.copied {
		j.s.index.set(it.id, to)
		return true
	}
	if !j.s.index.move(it.id, it.from, to) {
		return false
	}
	j.s.died(it.from)
	return true
}

func (j *journal) publishTombstone(it *item) {
	target := uint32(it.payload >> 32)
	j.active.mu.Lock()
	j.active.tombs[target]++
	j.active.mu.Unlock()
	if !it.copied && j.s.index.remove(it.id, it.from) {
		j.s.died(it.from)
	}
}

// died counts the record of a small blob as dead.
func (s *Store) died(e entry) {
	if g := s.segs.get(e.seg); g != nil {
		g.addLive(-e.recordLen())
	}
}

// undo takes back a batch that was not wholly written. Where the disk is full
// the log is cut back to what was acknowledged and goes on when there is space;
// any other failure is final.
func (j *journal) undo(op string, err error) error {
	if !isNoSpace(err) {
		return j.s.fail(op, err)
	}
	if err := j.active.file.Truncate(j.end); err != nil {
		return j.s.fail("cut segment back", err)
	}
	j.allocated = j.end
	// Without the sync a power cut could bring the refused records back.
	if err := j.s.sync(j.active.file); err != nil {
		return j.s.fail("sync segment", err)
	}
	return fmt.Errorf("%w: %w", ErrNoSpace, err)
}

// room makes sure that total bytes fit behind the end of the active segment.
func (j *journal) room(total int64) error {
	full := j.end+total > j.s.cfg.SegmentSize || len(j.rows)/rowLen >= maxSegmentRows
	if j.active != nil && full {
		if err := j.seal(); err != nil {
			return err
		}
	}
	if j.active == nil {
		if err := j.begin(); err != nil {
			return err
		}
	}
	return j.allocate(j.end + total)
}

// allocate takes disk space up to need, a step at a time while there is plenty.
func (j *journal) allocate(need int64) error {
	if need <= j.allocated {
		return nil
	}
	step := max(need, j.allocated+j.s.cfg.PreallocateStep)
	err := j.active.file.Allocate(j.allocated, step-j.allocated)
	if isNoSpace(err) {
		step = need
		err = j.active.file.Allocate(j.allocated, step-j.allocated)
	}
	if err != nil {
		return j.s.writeFailed("allocate segment", err)
	}
	j.allocated = step
	return nil
}

// begin makes the next segment. Its header becomes durable with the first
// batch, its name at once.
func (j *journal) begin() error {
	name := j.s.segs.path(j.next)
	file, err := j.s.fs.Create(name)
	if err != nil {
		return j.s.createFailed("create segment", err)
	}
	g := newSegment(j.next, file)
	j.next++
	header := encodeSegmentHeader(g.num, j.s.id, j.s.cfg.Clock().UnixNano())
	if _, err := file.WriteAt(header, 0); err != nil {
		return j.s.writeFailed("write segment header", errors.Join(err, file.Close(), j.s.fs.Remove(name)))
	}
	failpoint.At("segment/created")
	if err := j.s.syncDir(j.s.segs.dir); err != nil {
		return j.s.syncDirFailed("sync segment directory", errors.Join(err, file.Close(), j.s.fs.Remove(name)))
	}
	j.continueWith(g, segmentHeaderLen, j.rows[:0])
	j.s.segs.add(g)
	return nil
}

// continueWith makes g, whose first end bytes are durable, the active segment.
func (j *journal) continueWith(g *segment, end int64, rows []byte) {
	j.active, j.rows, j.marked = g, rows, false
	j.end, j.synced, j.allocated, j.unsynced = end, end, end, false
}

// seal completes the active segment with its footer.
func (j *journal) seal() error {
	g := j.active
	footer := appendTrailer(j.rows, j.s.seed, g.num, j.end)
	rows := len(j.rows)
	j.rows = footer[:rows] // keep what may have grown
	end := j.end + int64(len(footer))
	if err := j.allocate(end); err != nil {
		return err
	}
	if _, err := g.file.WriteAt(footer, j.end); err != nil {
		return j.undo("write segment footer", err)
	}
	failpoint.At("segment/footed")
	if err := g.file.Truncate(end); err != nil {
		return j.s.fail("trim segment", err)
	}
	failpoint.At("segment/trimmed")
	if err := j.s.sync(g.file); err != nil {
		return j.s.fail("sync segment", err)
	}
	g.mu.Lock()
	g.sealed = true
	g.mu.Unlock()
	j.active, j.unsynced = nil, false
	failpoint.At("segment/sealed")
	return nil
}

// close marks everything as durable, gives back the space taken in advance and
// syncs. Nobody else uses the journal any more.
func (j *journal) close() error {
	if j.active == nil || j.s.failure() != nil {
		return nil
	}
	if err := j.write(nil); err != nil { // what is unsynced
		return err
	}
	if err := j.mark(); err != nil {
		return err
	}
	failpoint.At("stop/marked")
	if err := j.active.file.Truncate(j.end); err != nil {
		return j.s.fail("trim segment", err)
	}
	if err := j.s.sync(j.active.file); err != nil {
		return j.s.fail("sync segment", err)
	}
	return nil
}

// mark appends a record whose durable field covers all before it, without a
// sync of its own. It tells recovery that damage further up is damage, not a
// batch that was never acknowledged. Where something is unsynced it does nothing.
func (j *journal) mark() error {
	j.endMu.Lock()
	defer j.endMu.Unlock()
	if j.marked || j.unsynced {
		return nil
	}
	h := header{
		kind: kindMark, created: j.s.cfg.Clock().UnixNano(),
		durable: uint64(j.synced), seg: j.active.num, off: uint32(j.end),
	}
	var b [headerLen]byte
	h.encode(b[:], j.s.seed)
	if _, err := j.active.file.WriteAt(b[:], j.end); err != nil {
		return j.undo("write mark", err)
	}
	j.rows = appendRow(j.rows, &h)
	j.end += headerLen
	j.allocated = max(j.allocated, j.end)
	j.marked = true
	j.active.grew(headerLen, 0)
	return nil
}
