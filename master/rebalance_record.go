package master

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// outcome is what became of a move when it was recorded.
type outcome uint8

const (
	superseded outcome = iota // the extent was changed or given up meanwhile
	failed                    // its pieces could not be made: to be tried again
	damaged                   // it can not be restored
	done
)

// record writes down where the pieces are now, and with it what also does, in one
// transaction. An extent that was changed or given up meanwhile stays as it is,
// and the pieces that were made of it are given up.
func (r *rebalancer) record(ctx context.Context, b moved, also func(*recorder) error) error {
	var rec *recorder
	_, err := r.e.update(ctx, func(tx metadb.Tx) error {
		rec = &recorder{e: r.e, tx: tx, now: r.e.now()}
		if err := rec.takeBack(b.intent); err != nil {
			return err
		}
		if err := rec.apply(b.moves); err != nil {
			return err
		}
		// A volume that did not answer may yet be at what it was to write.
		if err := r.e.retireLate(tx, rec.unused, rec.now); err != nil {
			return err
		}
		if err := rec.queueOld(); err != nil {
			return err
		}
		return also(rec)
	})
	if err != nil {
		return err
	}
	if len(b.moves) > 0 {
		failpoint.At("rebalance/switched")
	}
	r.e.garbage.wake()
	for _, m := range b.moves {
		if m.outcome == damaged {
			r.e.log.ErrorContext(ctx, "what is left of an object is too little to restore it", "bucket", m.bucket, "key", m.key, "part", m.part, "cause", m.damage, "error", m.err)
		}
		if m.outcome == done && len(m.strange) > 0 {
			r.e.log.ErrorContext(ctx, "blobs of something else were recorded as pieces of an object: they were replaced, and stay with what they are part of",
				"bucket", m.bucket, "key", m.key, "part", m.part, "pieces", piecesText(slices.Collect(maps.Keys(m.strange))))
		}
	}
	return nil
}

// recorder writes one batch.
type recorder struct {
	e   *Engine
	tx  metadb.Tx
	now time.Time
	ops int // writes for what was found on the way

	old      []meta.Piece // no longer recorded
	strange  []meta.Piece // no longer recorded, and not what they were recorded as
	unused   []meta.Piece // made and not recorded
	moved    uint64
	repaired uint64
	bytes    uint64
	failed   uint64
	cause    error // of the last that failed
	missed   bool  // look again in another pass
	troubled bool  // a volume has failed: not at once
}

// foundOps bounds the writes of one batch for what was found on the way.
const foundOps = 2 * moveBatch / 3

// queueOld queues what is no longer recorded.
func (rec *recorder) queueOld() error {
	g := metadb.Garbage{Kind: metadb.GarbageLeftovers, Queued: rec.now, Pieces: rec.strange}
	if err := queueUnlessEmpty(rec.tx, rec.now.Add(rec.e.leftovers.grace), g); err != nil {
		return err
	}
	return queueUnlessEmpty(rec.tx, rec.now, metadb.Garbage{Kind: metadb.GarbageBlobs, Queued: rec.now, Pieces: rec.old})
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
			m.outcome = superseded // and if the copy failed: what it was made of was given up
			rec.missed = true
		case m.damage != "":
			m.outcome = damaged
			err = rec.noteDamage(m)
		case m.err != nil:
			m.outcome = failed
			err = rec.noteFailure(m)
		default:
			m.outcome = done
			x.Pieces = m.next
			changed = true
			err = rec.noteDone(m)
		}
		if err != nil {
			return err
		}
		if m.outcome != done {
			rec.unused = append(rec.unused, m.add...)
		}
	}
	if !changed {
		return nil
	}
	return row.save()
}

// noteDone counts what was done. What changes now may have to change again.
func (rec *recorder) noteDone(m *move) error {
	rec.missed = true
	members := rec.e.layouts.now().volumes
	for _, p := range m.drop {
		if _, ok := members[p.Volume]; !ok {
			continue
		}
		if d, strange := m.strange[p]; strange {
			if err := rec.dismiss(m.location, p, d); err != nil {
				return err
			}
			continue
		}
		rec.old = append(rec.old, p)
	}
	n := uint64(len(m.add))
	rec.moved += n
	rec.repaired += uint64(m.restored())
	rec.bytes += uint64(pieceSize(m.extent)) * n
	if err := rec.suspect(m); err != nil {
		return err
	}
	return rec.clearDamage(m.location)
}

// dismiss gives up a piece that is part of something else. It stays where that
// names it; where nothing does it is as good as a leftover, which is looked at once
// more before it goes.
func (rec *recorder) dismiss(from location, p meta.Piece, d metadb.Descriptor) error {
	at, err := rec.e.whereNamed(rec.tx, d, p)
	if err != nil || at != nil && !bytes.Equal(at.row, from.row) {
		return err
	}
	rec.strange = append(rec.strange, p)
	return nil
}

func (rec *recorder) noteFailure(m *move) error {
	rec.missed = true
	rec.failed++
	rec.cause = m.err
	rec.troubled = rec.troubled || len(m.bad) == 0 || len(m.blamed) > 0
	return rec.suspect(m)
}

// suspect asks for the repair of what was found to be bad on the way.
func (rec *recorder) suspect(m *move) error {
	bad := slices.DeleteFunc(slices.Clone(m.bad), func(p meta.Piece) bool { return m.outcome == done && !slices.Contains(m.next, p) })
	if len(bad) == 0 || m.queued {
		return nil // the entry that is in the queue goes on
	}
	if rec.ops++; rec.ops > foundOps {
		rec.missed = true
		return nil
	}
	return queueRepair(rec.tx, rec.now, m.repair(bad, rec.now))
}

// saveState adds what was done to the state of the rebalance.
func (rec *recorder) saveState(also func(*metadb.Rebalance)) error {
	st, err := record(rec.tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
	if err != nil {
		return err
	}
	st.Moved += rec.moved
	st.MovedBytes += rec.bytes
	st.Repaired += rec.repaired
	st.Failed += rec.failed
	also(&st)
	return setRebalance(rec.tx, &st)
}

// saveBatch counts what was done, and notes for the pass, unless it has begun
// anew, whether another must follow.
func (rec *recorder) saveBatch(epoch uint64) error {
	return rec.saveState(func(st *metadb.Rebalance) { rec.note(st, epoch) })
}

func (rec *recorder) note(st *metadb.Rebalance, epoch uint64) (current bool) {
	if rec.cause != nil {
		st.LastError = rec.cause.Error()
	}
	if st.Epoch != epoch || !st.Active {
		return false
	}
	st.Again = st.Again || rec.missed
	return true
}

// savePass is saveBatch for the last batch of a step: it advances the pass.
func (rec *recorder) savePass(epoch uint64, found finding, stuck stuck) error {
	return rec.saveState(func(st *metadb.Rebalance) {
		if !rec.note(st, epoch) {
			return
		}
		st.Scanned += found.scanned
		st.Short += found.short
		st.StuckNow = stuck.addTo(st.StuckNow)
		st.Cursor = found.next.marshal()
		st.Again = st.Again || found.again
	})
}

// dropIntents gives up what an earlier process has made and not recorded. It
// runs before the first batch of this one. A volume may yet be at some of it.
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
					err = r.e.retireLate(tx, left[i].Pieces, now)
				}
			}
			return err
		})
		if err != nil || len(keys) == 0 {
			return err
		}
		failpoint.At("rebalance/taken-back")
		r.e.garbage.wake()
	}
}
