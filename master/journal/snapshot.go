package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// snapshotAfter is how much the journal grows by, at the least, before a new snapshot
// is made, in bytes: more where the last one was longer.
const snapshotAfter = 64 << 20

// snapshot is what is known of the newest snapshot.
type snapshot struct {
	whole  bool   // there is one
	head   Header // of its last chunk
	on     holders
	size   int64
	taken  time.Time
	turn   uint64 // which volumes come first from now on
	making uint64 // the commit of the one that is being made; 0: none is
}

// snapshotDue reports that there should be a new snapshot. The caller holds w.mu.
func (w *Writer) snapshotDue() bool {
	return !w.snap.whole || w.keep.broken != "" || w.size > max(failpoint.Or[int64](snapshotAfter, snapshotAfter/256), w.snap.size)
}

// Snapshot makes a snapshot, and forgets the commits that it makes needless once it is
// whole, durable and verified on its volumes.
func (w *Writer) Snapshot(ctx context.Context) error {
	var t *taking
	began := time.Now()
	err := w.cfg.DB.ViewAt(ctx, func(seq uint64, tx metadb.Tx) (err error) {
		if t, err = w.take(seq); err != nil || t == nil {
			return err
		}
		return t.rows(ctx, tx)
	})
	if err == nil && t == nil {
		return nil
	}
	if err == nil {
		err = t.verify(ctx)
	}
	failpoint.At("journal/verified")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.snap.making = 0
	if err != nil {
		return fmt.Errorf("snapshot of the metadata: %w", err)
	}
	w.use(t)
	failpoint.At("journal/replaced")
	w.cfg.Log.Info("snapshot of the metadata has been made", "commit", t.last.Seq, "rows", t.last.Rows, "bytes", t.size,
		"chunks", t.last.Chunk+1, "copies", len(t.to), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// use puts a snapshot in the place of the one before. The caller holds w.mu.
func (w *Writer) use(t *taking) {
	made := snapshot{whole: true, head: t.last, size: t.size, taken: w.cfg.Clock(), turn: w.snap.turn + 1}
	for _, p := range t.to {
		made.on.add(p.Number)
	}
	w.snap = made
	w.forget(t.last.Seq)
	w.keep.broken = ""
	w.keep.found = nil // it was of what is needless now
	clear(w.keep.swept)
	w.changed.Store(true)
}

// forget drops the commits up to one. The caller holds w.mu.
func (w *Writer) forget(seq uint64) {
	n := min(max(seq, w.base)-w.base, uint64(len(w.commits)))
	w.commits = slices.Clone(w.commits[n:])
	w.base += n
	w.size = 0
	for _, c := range w.commits {
		w.size += int64(c.size) + perEntry
	}
}

// taking is a snapshot that is being made.
type taking struct {
	w    *Writer
	at   Header  // of the commit that it sees
	to   []Place // that have all of it so far
	last Header  // of the newest chunk
	size int64
}

// take begins a snapshot that sees a commit as the newest; nil where there is one.
func (w *Writer) take(seq uint64) (*taking, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.head
	switch {
	case w.fenced != nil:
		return nil, w.fenced
	case w.snap.whole && w.snap.head.Seq == seq && w.keep.broken == "":
		return nil, nil
	case seq == w.head.Seq:
	case seq > w.base && seq < w.head.Seq:
		at.Seq, at.Sum = seq, w.commits[seq-w.base-1].sum
	default:
		return nil, fmt.Errorf("commit %d is not known: %d to %d are", seq, w.base+1, w.head.Seq)
	}
	t, wanted := &taking{w: w, at: at}, w.cfg.Copies()
	all := home(w.cfg.Places(), w.snap.turn+1)
	for rank := range unfit {
		for _, p := range all {
			if len(t.to) < wanted && p.Now().rank() == rank {
				t.to = append(t.to, p)
			}
		}
	}
	if len(t.to) == 0 {
		return nil, fmt.Errorf("%w: no volume takes it", volume.ErrUnavailable)
	}
	w.snap.making = seq
	return t, nil
}

// rows writes the chunks.
func (t *taking) rows(ctx context.Context, tx metadb.Tx) (err error) {
	chunks := newChunker(t.at, func(h Header, b []byte) error { return t.chunk(ctx, h, b) })
	c := tx.Seek([]byte{}, nil) // unlike a Scan it keeps no row
	defer func() { err = errors.Join(err, c.Close()) }()
	for n := 0; c.Valid(); c.Next() {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		value, err := c.Value()
		if err != nil {
			return err
		}
		if err := chunks.row(c.Key(), value); err != nil {
			return err
		}
	}
	return chunks.finish()
}

// chunk writes a chunk to all volumes. Those that fail are left out from then on.
func (t *taking) chunk(ctx context.Context, h Header, b []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.last, t.size = h, t.size+int64(len(b))
	err := t.each(func(p Place) error { return t.w.store(p, h, b) })
	failpoint.At("journal/chunk")
	return err
}

// each does something on all volumes at once, and goes on with those that succeed.
func (t *taking) each(do func(Place) error) error {
	errs := make([]error, len(t.to))
	var wg sync.WaitGroup
	for i, p := range t.to {
		wg.Go(func() { errs[i] = do(p) })
	}
	wg.Wait()
	var left []Place
	for i, p := range t.to {
		if errs[i] == nil {
			left = append(left, p)
		} else if fence := (*FenceError)(nil); errors.As(errs[i], &fence) {
			return errs[i]
		}
	}
	if t.to = left; len(left) == 0 {
		return errors.Join(errs...)
	}
	return nil
}

// verify reads all chunks again: nothing is given up for a snapshot that is not whole.
func (t *taking) verify(ctx context.Context) error {
	return t.each(func(p Place) error {
		for i := range t.last.Chunk + 1 {
			if err := p.Blobs.Verify(ctx, volume.MetadataID(volume.MetadataChunk, t.last.Seq, i)); err != nil {
				return err
			}
		}
		return nil
	})
}
