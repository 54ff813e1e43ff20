package master

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

const (
	repairBatch    = 24              // entries that one step settles, at up to four writes each
	repairPoll     = time.Second     // pause when nothing is due
	maxRepairDelay = 5 * time.Minute // between attempts at an extent
)

// repairQueue is where the rebalancer stands in the queue of repairs.
type repairQueue struct {
	cursor  []byte          // where the next step looks on; nil: from the start
	horizon time.Time       // entries due until then are taken at once: a volume is back
	left    map[string]bool // rows that can not be read and were logged as such
}

// welcome takes what waits for a volume that is back at once.
func (r *rebalancer) welcome() {
	r.resume.Store(nil)
	r.troubles = 0
	clear(r.down)
	r.queue.cursor, r.queue.horizon = nil, r.e.now().Add(maxRepairDelay)
	r.damage.all(r.e.now())
}

// repairJob is what entries of the queue ask for: some ask for the same.
type repairJob struct {
	metadb.Repair
	keys    [][]byte
	targets []target
	moves   []*move
	later   bool // something does not answer, or is being changed
	pass    bool // it can not be told where it is: a pass finds it
}

// repairs does a batch of what is due. It reports whether there was any.
func (r *rebalancer) repairs(ctx context.Context, l *layout, st *metadb.Rebalance) (more bool, err error) {
	jobs, err := r.dueRepairs(ctx)
	if err != nil {
		return false, fmt.Errorf("read the repair queue: %w", err)
	}
	if len(jobs) == 0 {
		more = r.queue.cursor != nil // rows may have been added behind it
		r.queue.cursor, r.queue.horizon = nil, time.Time{}
		return more, nil
	}
	bad, err := r.verifySuspects(ctx, l, jobs, movesAtOnce(st))
	if err != nil {
		return false, err
	}
	var moves []*move
	for _, job := range jobs {
		r.planRepair(l, job, bad)
		moves = append(moves, job.moves...)
	}
	slices.SortStableFunc(moves, func(a, b *move) int { return bytes.Compare(a.row, b.row) })
	made, err := r.move(ctx, moves, movesAtOnce(st))
	defer made.done()
	if err == nil {
		err = ctx.Err()
	}
	failpoint.At("repair/made")
	if err == nil {
		err = r.record(ctx, made, func(rec *recorder) error { return r.settleRepairs(rec, jobs) })
	}
	failpoint.At("repair/settled")
	if err != nil {
		r.cleaned = false // the new pieces are part of nothing
		return false, err
	}
	for _, job := range jobs {
		if last := job.keys[len(job.keys)-1]; bytes.Compare(last, r.queue.cursor) >= 0 {
			r.queue.cursor = metadb.After(last)
		}
	}
	return true, nil
}

// dueRepairs reads the next entries, with what they are about as it is now. It
// starts where the last step ended, so as not to walk again over the deleted rows
// at the head of the queue.
func (r *rebalancer) dueRepairs(ctx context.Context) ([]*repairJob, error) {
	now := r.e.now()
	due := metadb.RepairDue(latestOf(now, r.queue.horizon))
	due.Start = later(due.Start, r.queue.cursor)
	if due.Empty() {
		return nil, nil
	}
	var jobs []*repairJob
	err := r.e.view(ctx, func(tx metadb.Tx) error {
		jobs = nil
		var entries []*repairJob
		err := tx.Scan(due.Start, due.End, func(k, row []byte) (bool, error) {
			entry, err := metadb.UnmarshalRepair(row)
			if err != nil {
				r.leaveRepair(ctx, k, err)
				return true, nil
			}
			entries = append(entries, &repairJob{Repair: entry, keys: [][]byte{bytes.Clone(k)}})
			return len(entries) < repairBatch, nil
		})
		if err != nil {
			return err
		}
		jobs = r.locateRepairs(ctx, tx, entries)
		return ctx.Err()
	})
	return jobs, err
}

// leaveRepair notes a row that can not be read, by this version of the program
// at least.
func (r *rebalancer) leaveRepair(ctx context.Context, key []byte, err error) {
	if r.queue.left == nil {
		r.queue.left = make(map[string]bool)
	}
	if !r.queue.left[string(key)] {
		r.queue.left[string(key)] = true
		r.e.log.ErrorContext(ctx, "an entry of the repair queue can not be read: it is left", "key", fmt.Sprintf("%x", key), "error", err)
	}
}

// locateRepairs finds what entries are about and joins those about the same, as
// many as make a batch.
func (r *rebalancer) locateRepairs(ctx context.Context, tx metadb.Tx, entries []*repairJob) []*repairJob {
	var jobs []*repairJob
	at := make(map[string]*repairJob)
	rows, size := 0, int64(0)
	for _, job := range entries {
		found, err := r.e.resolve(tx, &job.Repair)
		if err != nil { // one that can not be read does not hold up the others
			r.e.log.ErrorContext(ctx, "what is to be repaired can not be found for now", "bucket", job.Bucket, "key", job.Key, "error", err)
			found = resolved{later: true}
		}
		job.targets, job.later, job.pass = found.targets, found.later, found.unknown
		name := ""
		if len(found.targets) > 0 {
			name = found.targets[0].name()
		}
		if other := at[name]; name != "" && other != nil {
			other.keys = append(other.keys, job.keys...)
			other.Suspects = append(other.Suspects, job.Suspects...)
			other.Attempts = min(other.Attempts, job.Attempts)
			continue
		}
		for _, x := range found.targets {
			size += x.extent.Size
		}
		rows += found.rowSize
		if len(jobs) > 0 && (rows > moveBatchRows || size > moveBatchBytes) {
			break
		}
		at[name] = job
		jobs = append(jobs, job)
	}
	return jobs
}

// verifySuspects reads the pieces that somebody has found to be bad, whole, and
// returns those that are. Where a volume does not answer, the repair is put off.
func (r *rebalancer) verifySuspects(ctx context.Context, l *layout, jobs []*repairJob, atOnce int) (map[meta.Piece]error, error) {
	var mu sync.Mutex // guards bad and the jobs' later
	bad := make(map[meta.Piece]error)
	var group errgroup.Group
	group.SetLimit(atOnce)
	o := r.outlook(l)
	for _, job := range jobs {
		for _, x := range job.targets {
			for i, p := range x.extent.Pieces {
				if !o.there(p) || !slices.Contains(job.Suspects, p) {
					continue
				}
				group.Go(func() error {
					err := r.verifySuspect(ctx, o, x.owner(x.extent).piece(p, i))
					mu.Lock()
					defer mu.Unlock()
					if isBad(err) {
						bad[p] = err
					}
					job.later = job.later || err != nil && !isBad(err)
					return nil
				})
			}
		}
	}
	_ = group.Wait() // no error is returned above
	return bad, ctx.Err()
}

func (r *rebalancer) verifySuspect(ctx context.Context, o outlook, w recordedPiece) error {
	if o.silent(w.Volume) {
		return volume.ErrUnavailable
	}
	if err := r.pause(ctx, w.size); err != nil {
		return err
	}
	return r.e.verifyPiece(ctx, w)
}

// planRepair works out what is to be done for an entry.
func (r *rebalancer) planRepair(l *layout, job *repairJob, bad map[meta.Piece]error) {
	o := r.outlook(l)
	o.bad = func(p meta.Piece) bool { return bad[p] != nil }
	for _, x := range job.targets {
		m, err := r.e.plan(o, x.location, x.extent)
		if err != nil || m.waits || !m.reachable(o) {
			job.later = true
		}
		if err != nil || m.idle() || !m.reachable(o) {
			continue
		}
		for _, p := range m.drop {
			m.noteStranger(p, bad[p])
		}
		m.queued = true
		job.moves = append(job.moves, m)
	}
}

// settleRepairs removes the entries that are done and puts the others off.
func (r *rebalancer) settleRepairs(rec *recorder, jobs []*repairJob) error {
	pass := false
	for _, job := range jobs {
		for _, k := range job.keys {
			if err := rec.tx.Delete(k); err != nil {
				return err
			}
		}
		pass = pass || job.pass
		if again, due := job.result(rec.now); again != nil {
			if due.Before(r.queue.horizon) {
				due = r.queue.horizon // or it would be taken again at once
			}
			if err := queueRepair(rec.tx, due, *again); err != nil {
				return err
			}
		}
	}
	if rec.moved > 0 || rec.failed > 0 {
		if err := rec.saveState(func(*metadb.Rebalance) {}); err != nil {
			return err
		}
	}
	if pass {
		return r.anotherPass(rec.tx)
	}
	return nil
}

// result is the entry that takes the place of a job's, and when it is due; nil
// where there is nothing left to do.
func (job *repairJob) result(now time.Time) (again *metadb.Repair, due time.Time) {
	next := job.Repair
	next.Suspects = nil
	retry, look := job.later, false
	for _, m := range job.moves {
		switch {
		case m.outcome == failed, m.outcome == superseded, m.outcome == damaged && m.kind == partRow:
			retry = true
		case m.outcome == damaged:
			continue // it is on the list of what is damaged
		}
		for _, p := range m.bad {
			if m.outcome != done || slices.Contains(m.next, p) {
				next.Suspects = append(next.Suspects, p)
				look = true
			}
		}
	}
	switch {
	case retry:
		next.Suspects = append(next.Suspects, job.Suspects...)
		next.Suspects = distinct(next.Suspects, maxEntrySuspects)
		next.Attempts++
		return &next, now.Add(repairDelay(job.Attempts))
	case look:
		return &next, now
	}
	return nil, now
}

// maxEntrySuspects bounds the pieces that one entry names.
const maxEntrySuspects = 64

func distinct(pieces []meta.Piece, most int) []meta.Piece {
	var kept []meta.Piece
	for _, p := range pieces {
		if len(kept) < most && !slices.Contains(kept, p) {
			kept = append(kept, p)
		}
	}
	return kept
}

// repairDelay is how long a repair waits that has failed n times before.
func repairDelay(n int) time.Duration { return min(time.Second<<min(n, 16), maxRepairDelay) }

func latestOf(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// target is an extent as it is recorded now.
type target struct {
	location
	extent meta.Extent
}

func (t target) name() string { return fmt.Sprintf("%s %d %d", t.row, t.part, t.index) }

// resolved is what an entry of the queue is about.
type resolved struct {
	targets []target // none: it is gone
	rowSize int
	later   bool // it is being changed
	unknown bool // there is no way to tell without looking at everything
}

// resolve finds the extents that an entry is about: those of a version, of a part
// of one, or of a part of an upload in progress. It costs a few reads.
func (e *Engine) resolve(tx metadb.Tx, r *metadb.Repair) (resolved, error) {
	holder, err := getBucket(tx, r.Bucket)
	if meta.KindOf(err) == meta.KindNoSuchBucket {
		return resolved{}, nil
	}
	if err != nil {
		return resolved{}, err
	}
	if r.Part > 0 && r.UploadID != "" {
		found, err := e.resolveUpload(tx, r, holder)
		if err != nil || found.later || len(found.targets) > 0 {
			return found, err
		}
	}
	o, row, err := versionAt(tx, r.Bucket, r.Key, r.Seq)
	if err != nil {
		return resolved{}, err
	}
	if o != nil && (r.UploadID == "" || o.UploadID == r.UploadID) {
		return resolveVersion(tx, o, row, r.Part, holder)
	}
	if r.UploadID == "" || r.Part == 0 {
		return resolved{}, nil
	}
	return e.resolveCompleted(tx, r, holder)
}

// versionAt returns the version of a key by its seq, and where its row is; nil
// where there is none.
func versionAt(tx metadb.Tx, bucket, key string, seq uint64) (*metadb.ObjectRow, []byte, error) {
	row := metadb.ObjectKey(bucket, key)
	o, err := getVersion(tx, row, bucket, key)
	if err != nil || o == nil || o.Seq == seq {
		return o, row, err
	}
	row = metadb.VersionKey(bucket, key, seq)
	o, err = getVersion(tx, row, bucket, key)
	return o, row, err
}

func resolveVersion(tx metadb.Tx, o *metadb.ObjectRow, row []byte, part int, holder meta.Bucket) (resolved, error) {
	at := location{kind: objectRow, row: row, bucket: o.Bucket, key: o.Key, holder: holder}
	at.of(o)
	if part == 0 {
		return targetsAt(at, o.Extents, 2<<10), nil // none where it was assembled from parts
	}
	if o.Manifest == "" {
		return resolved{}, nil
	}
	index, err := manifestIndex(tx, o.UploadID, o.Manifest)
	if err != nil {
		return resolved{}, err
	}
	chunk := index.ForPart(part)
	if chunk == 0 {
		return resolved{}, nil
	}
	parts, err := manifestChunk(tx, o.UploadID, o.Manifest, chunk)
	if err != nil {
		return resolved{}, err
	}
	at.kind, at.row, at.upload, at.part = manifestRow, metadb.ManifestKey(o.UploadID, o.Manifest, chunk), o.UploadID, part
	for _, p := range parts {
		if p.Number == part {
			return targetsAt(at, p.Extents, meta.MaxRecordPayload), nil
		}
	}
	return resolved{}, nil
}

func targetsAt(at location, extents []meta.Extent, rowSize int) resolved {
	found := resolved{rowSize: rowSize}
	for i, x := range extents {
		at.index = i
		found.targets = append(found.targets, target{at, x})
	}
	return found
}

// resolveUpload finds a part of an upload in progress.
func (e *Engine) resolveUpload(tx metadb.Tx, r *metadb.Repair, holder meta.Bucket) (resolved, error) {
	up, err := getUpload(tx, r.Bucket, r.Key, r.UploadID)
	if kind := meta.KindOf(err); kind == meta.KindNoSuchUpload {
		return resolved{}, nil
	}
	if err != nil {
		return resolved{}, err
	}
	if e.completing.has(r.UploadID) {
		return resolved{later: true}, nil
	}
	row := metadb.PartKey(r.UploadID, r.Part)
	b, err := tx.Get(row)
	if errors.Is(err, metadb.ErrNotFound) {
		return resolved{}, nil
	}
	if err != nil {
		return resolved{}, err
	}
	p, err := metadb.UnmarshalPart(b)
	if err != nil {
		return resolved{}, fmt.Errorf("part record: %w", err)
	}
	at := location{
		kind: partRow, row: row, bucket: r.Bucket, key: r.Key, upload: r.UploadID, part: r.Part,
		class: up.Headers.StorageClass, holder: holder,
	}
	return targetsAt(at, p.Extents, len(b)), nil
}

// resolveCompleted finds a part of an object by the marker of its upload. Once
// the marker is gone, only a look at everything could.
func (e *Engine) resolveCompleted(tx metadb.Tx, r *metadb.Repair, holder meta.Bucket) (resolved, error) {
	b, err := tx.Get(metadb.CompletedKey(r.UploadID))
	if errors.Is(err, metadb.ErrNotFound) {
		return resolved{unknown: e.now().Sub(r.Queued) >= e.completedTTL/2}, nil
	}
	if err != nil {
		return resolved{}, err
	}
	c, err := metadb.UnmarshalCompleted(b)
	if err != nil {
		return resolved{}, fmt.Errorf("completed upload: %w", err)
	}
	cur, err := current(tx, r.Bucket, r.Key)
	if err != nil {
		return resolved{}, err
	}
	id := c.Object.VersionID
	if id == "" {
		id = meta.NullVersion
	}
	o, err := findVersion(tx, cur, id)
	if err != nil || o == nil || o.UploadID != r.UploadID {
		return resolved{}, err
	}
	row := metadb.ObjectKey(r.Bucket, r.Key)
	if o.Seq != cur.Seq {
		row = metadb.VersionKey(r.Bucket, r.Key, o.Seq)
	}
	return resolveVersion(tx, o, row, r.Part, holder)
}
