package master

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// move is the change of one extent's pieces.
type move struct {
	location
	extent meta.Extent  // as it was recorded when it was found
	next   []meta.Piece // its pieces afterwards
	add    []meta.Piece // those of them that are to be made
	drop   []meta.Piece // those that are given up
	err    error        // why they could not be made
}

// plan compares where an extent lies with where the layout wants it; nil where
// that is the same.
func (e *Engine) plan(l *layout, at location, x meta.Extent) (*move, error) {
	want, err := l.place(at.hash(), copies)
	if err != nil {
		return nil, err
	}
	m := &move{location: at, extent: x}
	for _, number := range want {
		i := slices.IndexFunc(x.Pieces, func(p meta.Piece) bool { return p.Volume == number })
		if i >= 0 {
			m.next = append(m.next, x.Pieces[i])
			continue
		}
		p := meta.Piece{Volume: number, Blob: meta.BlobID(newBlobID())}
		m.next, m.add = append(m.next, p), append(m.add, p)
	}
	for _, p := range x.Pieces {
		if !slices.Contains(m.next, p) {
			m.drop = append(m.drop, p)
		}
	}
	if len(m.add) == 0 && len(m.drop) == 0 {
		return nil, nil
	}
	return m, nil
}

// moved is what one step has made and not yet recorded.
type moved struct {
	moves  []*move
	intent []byte // the key of the garbage entry that names all new pieces
	err    error  // the first failure
	done   func() // releases the new pieces
}

// intentDelay is how long a batch may take at most. What a crash has left is
// found at the next start, long before.
const intentDelay = 48 * time.Hour

// move makes the new pieces. They are in the garbage queue before the first byte
// is written, and pinned while this process is at it: a crash leaves nothing for
// ever.
func (r *rebalancer) move(ctx context.Context, moves []*move, atOnce int) moved {
	b := moved{moves: moves, done: func() {}}
	var added []meta.Piece
	for _, m := range moves {
		added = append(added, m.add...)
	}
	if len(added) == 0 {
		return b
	}
	b.done = r.e.pins.hold(added)
	_, err := r.e.update(ctx, func(tx metadb.Tx) error {
		now := r.e.now()
		var err error
		b.intent, err = queueKey(tx, now.Add(intentDelay), metadb.Garbage{Kind: metadb.GarbageIntent, Queued: now, Pieces: added})
		return err
	})
	if err != nil {
		b.fail(err)
		return b
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, m := range moves {
		group.Go(func() error {
			m.err = r.makePieces(ctx, m)
			return nil // the others go on
		})
	}
	_ = group.Wait() // no error is returned above
	for _, m := range moves {
		if m.err != nil && b.err == nil {
			b.err = m.err
		}
	}
	return b
}

func (b *moved) fail(err error) {
	b.err = err
	for _, m := range b.moves {
		m.err = err
	}
}

// makePieces makes each new piece of a move from the first old one that can be
// read whole.
func (r *rebalancer) makePieces(ctx context.Context, m *move) error {
	for _, to := range m.add {
		var errs []error
		for _, from := range m.extent.Pieces {
			err := r.copyPiece(ctx, from, to)
			if err == nil {
				errs = nil
				break
			}
			errs = append(errs, err)
		}
		if len(errs) > 0 {
			return fmt.Errorf("%s/%s: %w", m.bucket, m.key, errors.Join(errs...))
		}
	}
	return nil
}

// copyPiece copies a blob to another volume under a fresh id, with its
// descriptor. What is read is verified block by block, and the new volume
// answers when it is durable.
func (r *rebalancer) copyPiece(ctx context.Context, from, to meta.Piece) error {
	if err := r.yield(ctx); err != nil {
		return err
	}
	src, err := r.e.volume(ctx, from.Volume)
	if err != nil {
		return err
	}
	dst, err := r.e.volume(ctx, to.Volume)
	if err != nil {
		return err
	}
	id := volume.BlobID(from.Blob)
	info, err := src.Stat(ctx, id)
	if err != nil {
		return fmt.Errorf("volume %d: blob %s: %w", from.Volume, id, err)
	}
	body, err := src.Get(ctx, id, 0, info.Size)
	if err != nil {
		return fmt.Errorf("volume %d: blob %s: %w", from.Volume, id, err)
	}
	err = dst.Put(ctx, volume.BlobID(to.Blob), info.Size, &pacedReader{ctx: ctx, r: body, limiter: r.limiter},
		func() ([]byte, error) { return info.Descriptor, nil })
	if closing := body.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("volume %d to %d: blob %s: %w", from.Volume, to.Volume, id, err)
	}
	return nil
}

// record writes down where the pieces are now, together with the cursor and the
// counters, in one transaction. An extent that was changed or given up meanwhile
// stays as it is, and the copies that were made of it are given up.
func (r *rebalancer) record(ctx context.Context, st *metadb.Rebalance, found finding, b moved) error {
	defer b.done()
	_, err := r.e.update(ctx, func(tx metadb.Tx) error {
		rec := &recorder{e: r.e, tx: tx, now: r.e.now()}
		if err := rec.takeBack(b.intent); err != nil {
			return err
		}
		if err := rec.apply(b.moves); err != nil {
			return err
		}
		for _, p := range [][]meta.Piece{rec.unused, rec.old} {
			if len(p) == 0 {
				continue
			}
			if err := queue(tx, rec.now, metadb.Garbage{Kind: metadb.GarbageBlobs, Queued: rec.now, Pieces: p}); err != nil {
				return err
			}
		}
		return rec.saveState(st.Epoch, found, b.err)
	})
	r.e.garbage.wake()
	return err
}

// recorder writes one batch.
type recorder struct {
	e   *Engine
	tx  metadb.Tx
	now time.Time

	old    []meta.Piece // no longer recorded
	unused []meta.Piece // made and not recorded
	moved  uint64
	bytes  uint64
	failed uint64
	missed bool // something was changed meanwhile: look again
}

// takeBack removes the garbage entry that names the new pieces. Were it gone, the
// collector would be about to delete them, and none could be recorded.
func (rec *recorder) takeBack(intent []byte) error {
	if intent == nil {
		return nil
	}
	if _, err := rec.tx.Get(intent); err != nil {
		return fmt.Errorf("rebalance: the entry of the new pieces: %w", err)
	}
	return rec.tx.Delete(intent)
}

// apply changes the rows, each once for all its extents.
func (rec *recorder) apply(moves []*move) error {
	for len(moves) > 0 {
		n := 1
		for n < len(moves) && bytes.Equal(moves[n].row, moves[0].row) {
			n++
		}
		if err := rec.applyRow(moves[:n]); err != nil {
			return err
		}
		moves = moves[n:]
	}
	return nil
}

// applyRow changes the extents of one row that are as they were found.
func (rec *recorder) applyRow(moves []*move) error {
	row, err := rec.open(moves[0].location)
	if err != nil {
		return err
	}
	changed := false
	for _, m := range moves {
		x := row.extent(m.location)
		switch {
		case m.err != nil:
			rec.failed++
			rec.missed = true
			rec.unused = append(rec.unused, m.add...)
		case x == nil || x.Size != m.extent.Size || !slices.Equal(x.Pieces, m.extent.Pieces):
			rec.missed = true
			rec.unused = append(rec.unused, m.add...)
		default:
			x.Pieces = m.next
			changed = true
			rec.old = append(rec.old, m.drop...)
			rec.moved += uint64(len(m.add))
			rec.bytes += uint64(x.Size) * uint64(len(m.add))
			rec.missed = true // what changes now may have to change again
		}
	}
	if !changed {
		return nil
	}
	return row.save()
}

func (rec *recorder) saveState(epoch uint64, found finding, failure error) error {
	st, err := record(rec.tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
	if err != nil {
		return err
	}
	st.Moved += rec.moved
	st.MovedBytes += rec.bytes
	st.Failed += rec.failed
	if failure != nil {
		st.LastError = failure.Error()
	}
	if st.Epoch == epoch && st.Active { // else it has begun anew
		st.Scanned += found.scanned
		st.Cursor = found.next.marshal()
		st.Again = st.Again || found.again || rec.missed
	}
	return setRebalance(rec.tx, &st)
}

// dropIntents gives up what an earlier process has made and not recorded. It
// runs before the first batch of this one.
func (r *rebalancer) dropIntents(ctx context.Context) error {
	for {
		var keys [][]byte
		var left []metadb.Garbage
		_, err := r.e.update(ctx, func(tx metadb.Tx) error {
			keys, left = nil, nil
			now := r.e.now()
			all := metadb.GarbageRange()
			all.Start = metadb.GarbageKey(now.Add(intentDelay/2), [8]byte{})
			err := tx.Scan(all.Start, all.End, func(k, row []byte) (bool, error) {
				g, err := metadb.UnmarshalGarbage(row)
				if err == nil && g.Kind == metadb.GarbageIntent {
					keys, left = append(keys, bytes.Clone(k)), append(left, g)
				}
				return len(keys) < garbageBatch, nil // the collector reports what can not be read
			})
			for i := range keys {
				if err == nil {
					err = tx.Delete(keys[i])
				}
				if err == nil {
					err = queue(tx, now, left[i])
				}
			}
			return err
		})
		if err != nil || len(keys) == 0 {
			return err
		}
		r.e.garbage.wake()
	}
}

// yield lets requests of clients go first.
func (r *rebalancer) yield(ctx context.Context) error {
	for range 10 {
		if r.e.foreground.Load() <= yieldAbove {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return ctx.Err()
}

// yieldAbove is the number of requests under way above which a move waits, for a
// while.
const yieldAbove = 4

// pacedReader reads no faster than a limiter allows.
type pacedReader struct {
	ctx     context.Context
	r       io.Reader
	limiter interface {
		WaitN(ctx context.Context, n int) error
		Burst() int
	}
}

func (p *pacedReader) Read(b []byte) (int, error) {
	if most := p.limiter.Burst(); len(b) > most {
		b = b[:most]
	}
	n, err := p.r.Read(b)
	if n > 0 {
		if waiting := p.limiter.WaitN(p.ctx, n); waiting != nil {
			return n, waiting
		}
	}
	return n, err
}
