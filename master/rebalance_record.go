package master

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// record writes down where the pieces are now, together with the cursor and the
// counters, in one transaction. An extent that was changed or given up meanwhile
// stays as it is, and the copies that were made of it are given up.
func (r *rebalancer) record(ctx context.Context, st *metadb.Rebalance, found finding, b moved) error {
	var rec *recorder
	_, err := r.e.update(ctx, func(tx metadb.Tx) error {
		rec = &recorder{e: r.e, tx: tx, now: r.e.now()}
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
		return rec.saveState(st.Epoch, found)
	})
	if err != nil {
		return err
	}
	r.troubled = r.troubled || rec.failed > 0
	r.e.garbage.wake()
	return nil
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
	cause  error // of the last that failed
	missed bool  // something was changed meanwhile: look again
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
		case x == nil || x.Size != m.extent.Size || !slices.Equal(x.Pieces, m.extent.Pieces):
			rec.missed = true // and if the copy failed: what it was made of was given up
			rec.unused = append(rec.unused, m.add...)
		case m.err != nil:
			rec.failed++
			rec.cause = m.err
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

func (rec *recorder) saveState(epoch uint64, found finding) error {
	st, err := record(rec.tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
	if err != nil {
		return err
	}
	st.Moved += rec.moved
	st.MovedBytes += rec.bytes
	st.Failed += rec.failed
	if rec.cause != nil {
		st.LastError = rec.cause.Error()
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
