package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/volume"
)

// upkeep is what is known of how whole the journal is. It belongs to Writer.mu.
type upkeep struct {
	found   *Contents              // of the start, until it was looked at
	swept   map[meta.VolumeID]bool // volumes whose journal blobs are as they should be
	bad     []badCopy
	broken  string // why commits can not be read; empty: they can
	trouble string // what an operator should know; empty: nothing
}

// badCopy is a blob that a volume can not read.
type badCopy struct {
	number meta.VolumeID
	id     volume.BlobID
}

const (
	upkeepPause = 10 * time.Second
	stepFailed  = 2 * time.Second
	// copyGrace is how long a volume that is down counts as having what it had.
	copyGrace = 2 * time.Minute
	// restoreAtOnce bounds the copies that one step makes.
	restoreAtOnce = 256
)

// Step does some of what keeps the journal whole: it writes what could not be written,
// makes the snapshots that are due, removes what is needless, and copies what has too
// few copies. more reports that there is more to do at once; else wait is when to look
// again.
func (w *Writer) Step(ctx context.Context) (more bool, wait time.Duration, err error) {
	if wait := w.CatchUp(); wait > 0 {
		return false, wait, nil
	}
	if err := w.adopt(ctx); err != nil {
		w.unreadable()
		if !w.snapshots() { // a new one needs nothing of the old one
			return false, stepFailed, err
		}
	}
	if err := w.mend(ctx); err != nil {
		return false, stepFailed, err
	}
	if w.snapshots() {
		if err := w.Snapshot(ctx); err != nil {
			return false, stepFailed, err
		}
	}
	for _, p := range w.cfg.Places() {
		if err := w.sweep(ctx, p); err != nil {
			return false, stepFailed, fmt.Errorf("journal on volume %d: %w", p.Number, err)
		}
	}
	more, err = w.restore(ctx)
	return more, failpoint.Or(upkeepPause, upkeepPause/20), err
}

// snapshots reports that a snapshot is to be made now.
func (w *Writer) snapshots() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fenced == nil && w.snapshotDue()
}

// CatchUp tries again to write the commit that no volume has, and returns when to call
// it again; 0: there is none any more. It waits for no volume.
func (w *Writer) CatchUp() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.behind
	if e == nil || w.fenced != nil {
		return 0
	}
	if time.Since(e.since) >= giveUpAfter { // a put without an answer stands in nobody's way
		e.anew()
	}
	w.send(e, w.cfg.Copies()-e.flying)
	return retryPause
}

// Late signals that CatchUp is to be called.
func (w *Writer) Late() <-chan struct{} { return w.late }

// adopt finds which volumes have the commits of before the start.
func (w *Writer) adopt(ctx context.Context) error {
	w.mu.Lock()
	found := w.keep.found
	after := w.head
	after.Seq, after.Sum = w.snap.head.Seq, 0
	w.mu.Unlock()
	if found == nil {
		return nil
	}
	sum, err := found.sumAtSnapshot(ctx)
	if err != nil {
		return err
	}
	after.Sum = sum
	used, err := found.trace(ctx, after)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keep.found == nil { // a snapshot has been made since
		return nil
	}
	w.keep.found = nil
	for i, b := range used {
		if i >= len(w.commits) || w.commits[i].sum != 0 && w.commits[i].sum != b.sum {
			break
		}
		w.commits[i].sum = b.sum
		for _, s := range b.sources {
			w.commits[i].on.add(found.sources[s].Number)
		}
	}
	w.judge()
	return nil
}

// unreadable notes where no volume that has the snapshot is there any more.
func (w *Writer) unreadable() {
	all, _ := w.standing()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keep.broken == "" && w.snap.on.count(all.has) == 0 {
		w.breaks(fmt.Sprintf("no volume that has the snapshot at commit %d can be reached", w.snap.head.Seq))
	}
}

// judge notes where a commit has no copy at all. The caller holds w.mu.
func (w *Writer) judge() {
	for i := range w.commits {
		c := &w.commits[i]
		late := w.base+uint64(i)+1 == w.pending // it is being written
		if !late && (c.sum == 0 || c.on == holders{}) {
			w.breaks(fmt.Sprintf("commit %d is missing", w.base+uint64(i)+1))
			return
		}
	}
}

// sweep removes from a volume what is needless there, and learns what it has.
func (w *Writer) sweep(ctx context.Context, p Place) error {
	w.mu.Lock()
	skip := w.keep.swept[p.Number] || !p.Now().Up || w.keep.found != nil || !w.snap.whole || w.fenced != nil
	w.mu.Unlock()
	if skip {
		return nil
	}
	infos, err := ListMetadata(ctx, p.Blobs)
	if err != nil {
		return err
	}
	var needless []volume.BlobID
	for _, info := range infos {
		is, err := w.needless(ctx, p, info.ID)
		if err != nil {
			return err
		}
		if is {
			needless = append(needless, info.ID)
		}
	}
	for ids := range slices.Chunk(needless, listPage) {
		if err := p.Blobs.Delete(ctx, ids); err != nil {
			return err
		}
		failpoint.At("journal/swept")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep.swept[p.Number] = true
	return nil
}

// needless reports that a blob of the journal on a volume is of no use any more.
func (w *Writer) needless(ctx context.Context, p Place, id volume.BlobID) (bool, error) {
	kind, seq, _, _ := volume.ParseMetadataID(id)
	w.mu.Lock()
	snap, base, head, ours := w.snap, w.base, w.head, w.commitAt(seq)
	w.mu.Unlock()
	switch {
	case kind == volume.MetadataChunk:
		return seq != snap.head.Seq && seq != snap.making && seq <= head.Seq, nil
	case seq <= base:
		return true, nil
	case ours.on.has(p.Number):
		return false, nil
	}
	h, err := stat(ctx, Source{Name: p.Name, Blobs: p.Blobs}, id)
	switch {
	case errors.Is(err, volume.ErrNotFound):
		return false, nil
	case errors.Is(err, ErrBad), errors.Is(err, volume.ErrCorrupt):
		return seq <= head.Seq, nil
	case err != nil:
		return false, err
	}
	return w.meet(p, h), nil
}

// commitAt is what is known of a commit. The caller holds w.mu.
func (w *Writer) commitAt(seq uint64) commit {
	if seq <= w.base || seq-w.base > uint64(len(w.commits)) {
		return commit{}
	}
	return w.commits[seq-w.base-1]
}

// meet judges a commit that is found on a volume that is not known to have it. It
// reports whether it should go.
func (w *Writer) meet(p Place, h Header) (needless bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ours := w.commitAt(h.Seq)
	switch {
	case h.Cluster == w.head.Cluster && h.Sum == ours.sum && ours.sum != 0:
		w.holds(h.Seq, p.Number)
		return false
	case h.Cluster == w.head.Cluster && h.Line < w.head.Line:
		return true
	case h.Seq >= w.head.Seq && h.Line == w.head.Line && h.Run == w.head.Run:
		return false // it is being written
	}
	w.keep.trouble = fmt.Sprintf("volume %d holds commit %d of another history of the metadata, made at %s by a master that was started at %s; it is left alone",
		p.Number, h.Seq, h.Time.Format(time.RFC3339), time.Unix(0, int64(h.Run)).UTC().Format(time.RFC3339))
	w.cfg.Log.Error("the journal of the metadata has a fork", "trouble", w.keep.trouble)
	return false
}

// standing returns the volumes that count, by number, and how many copies there can be.
func (w *Writer) standing() (all byNumber, want int) {
	all = make(byNumber)
	fit := 0
	for _, p := range w.cfg.Places() {
		now := p.Now()
		if p.Leaves || !now.Up && w.cfg.Clock().Sub(now.Since) > failpoint.Or(copyGrace, copyGrace/400) {
			continue
		}
		all[p.Number] = p
		if now.rank() < unfit {
			fit++
		}
	}
	return all, min(w.cfg.Copies(), max(fit, 1))
}

// restore copies what has too few copies. more reports that there is more to do.
func (w *Writer) restore(ctx context.Context) (more bool, err error) {
	all, want := w.standing()
	w.mu.Lock()
	ready := w.keep.found == nil && w.snap.whole && w.fenced == nil && w.behind == nil
	var lacking []uint64
	if ready {
		for i := range w.commits {
			seq := w.base + uint64(i) + 1
			if n := w.commits[i].on.count(all.has); n < want && seq != w.pending && len(lacking) < restoreAtOnce {
				lacking = append(lacking, seq)
			}
		}
	}
	whole := w.snap.on.count(all.has) >= want
	w.mu.Unlock()
	if !ready {
		return false, nil
	}
	if !whole {
		if err := w.restoreSnapshot(ctx, all); err != nil {
			return false, err
		}
	}
	for _, seq := range lacking {
		if restored, err := w.restoreCommit(ctx, seq, all); err != nil || !restored {
			return false, err
		}
	}
	return len(lacking) == restoreAtOnce, nil
}

// heir is a volume to copy a blob to.
func (w *Writer) heir(on holders, all byNumber) (Place, bool) {
	w.mu.Lock()
	turn := w.snap.turn
	w.mu.Unlock()
	best, found := Place{}, false
	for _, p := range home(w.cfg.Places(), turn) {
		if rank := p.Now().rank(); all.has(p.Number) && !on.has(p.Number) && rank < unfit && (!found || rank < best.Now().rank()) {
			best, found = p, true
		}
	}
	return best, found
}

// restoreCommit copies a commit to one more volume, and reports whether it did.
func (w *Writer) restoreCommit(ctx context.Context, seq uint64, all byNumber) (bool, error) {
	w.mu.Lock()
	c := w.commitAt(seq)
	w.mu.Unlock()
	to, ok := w.heir(c.on, all)
	if !ok || c.sum == 0 {
		return false, nil
	}
	copied, err := w.copyBlob(ctx, c.on, to, volume.MetadataID(volume.MetadataEntry, seq, 0), func(h Header) bool { return h.Sum == c.sum })
	if err != nil {
		return false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case copied:
		w.holds(seq, to.Number)
	case w.commitAt(seq).sum == c.sum:
		w.breaks(fmt.Sprintf("no copy of commit %d can be read", seq))
	}
	return copied, nil
}

// breaks notes that a part of the journal is lost: a new snapshot makes it needless.
// The caller holds w.mu.
func (w *Writer) breaks(what string) {
	w.keep.broken = what
	w.cfg.Log.Warn("the journal of the metadata begins anew with a snapshot", "because", what)
	w.wake()
}

// copyBlob copies a blob from one of its holders. It reports false where no copy can be
// read.
func (w *Writer) copyBlob(ctx context.Context, on holders, to Place, id volume.BlobID, wanted func(Header) bool) (bool, error) {
	down := false
	for _, p := range w.cfg.Places() {
		if !on.has(p.Number) {
			continue
		}
		h, rows, err := fetch(ctx, Source{Name: p.Name, Blobs: p.Blobs}, id)
		switch {
		case err == nil && wanted(h):
			b := append(h.append(make([]byte, 0, headerLen+len(rows))), rows...)
			err := w.store(to, h, b)
			failpoint.At("journal/copied")
			return true, err
		case errors.Is(err, volume.ErrUnavailable):
			down = true
		}
	}
	if down {
		return false, fmt.Errorf("%w: all volumes that hold %s are down", volume.ErrUnavailable, id)
	}
	return false, ctx.Err()
}

// restoreSnapshot copies the snapshot to one more volume.
func (w *Writer) restoreSnapshot(ctx context.Context, all byNumber) error {
	w.mu.Lock()
	snap := w.snap
	w.mu.Unlock()
	to, ok := w.heir(snap.on, all)
	if !ok {
		return nil
	}
	for i := range snap.head.Chunk + 1 {
		id := volume.MetadataID(volume.MetadataChunk, snap.head.Seq, i)
		copied, err := w.copyBlob(ctx, snap.on, to, id, func(h Header) bool { return h.Line == snap.head.Line })
		if err != nil {
			return err
		}
		if !copied {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.breaks(fmt.Sprintf("no copy of chunk %d of the snapshot at commit %d can be read", i, snap.head.Seq))
			return nil
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.snap.head == snap.head {
		w.snap.on.add(to.Number)
	}
	return nil
}

// ReliesOn reports that a volume holds parts of the journal of which the others have
// not as many copies as there should be. It may only be emptied when it is not so.
func (w *Writer) ReliesOn(number meta.VolumeID) bool {
	all, want := w.standing()
	delete(all, number)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keep.found != nil || !w.snap.whole || w.behind != nil {
		return true
	}
	lacks := func(on holders) bool { return on.has(number) && on.count(all.has) < want }
	return lacks(w.snap.on) || slices.ContainsFunc(w.commits, func(c commit) bool { return lacks(c.on) })
}

// Returned says that a volume may hold something else than what is known of it.
func (w *Writer) Returned(number meta.VolumeID) {
	w.mu.Lock()
	delete(w.keep.swept, number)
	w.mu.Unlock()
	w.PlacesChanged()
}

// Damaged says that a blob of the journal on a volume can not be read.
func (w *Writer) Damaged(number meta.VolumeID, id volume.BlobID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep.bad = append(w.keep.bad, badCopy{number, id})
	w.wake()
}

// mend removes copies that can not be read, where there are others: they are made anew
// then. Where there are none a new snapshot is made.
func (w *Writer) mend(ctx context.Context) error {
	w.mu.Lock()
	bad := w.keep.bad
	w.keep.bad = nil
	w.mu.Unlock()
	for i, b := range bad {
		if err := w.mendOne(ctx, b); err != nil {
			w.mu.Lock()
			w.keep.bad = append(w.keep.bad, bad[i:]...)
			w.mu.Unlock()
			return err
		}
	}
	return nil
}

func (w *Writer) mendOne(ctx context.Context, b badCopy) error {
	all, _ := w.standing()
	delete(all, b.number)
	if w.lastCopy(b, all) {
		return nil
	}
	for _, p := range w.cfg.Places() {
		if p.Number == b.number {
			return p.Blobs.Delete(ctx, []volume.BlobID{b.id})
		}
	}
	return nil
}

// lastCopy notes that a volume has lost what it had of a blob, and reports whether it
// was the last that there is of it.
func (w *Writer) lastCopy(b badCopy, others byNumber) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	kind, seq, _, _ := volume.ParseMetadataID(b.id)
	var on *holders
	switch {
	case kind == volume.MetadataChunk && w.snap.whole && seq == w.snap.head.Seq:
		on = &w.snap.on
	case kind == volume.MetadataEntry && seq > w.base && seq-w.base <= uint64(len(w.commits)):
		on = &w.commits[seq-w.base-1].on
	default:
		return false // it is needless
	}
	if !on.has(b.number) {
		return false
	}
	if on.count(others.has) == 0 {
		w.breaks(fmt.Sprintf("the only copy of %s, on volume %d, can not be read", b.id, b.number))
		return true
	}
	on.remove(b.number)
	return false
}
