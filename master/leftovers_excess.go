package master

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"tdkvs/master/metadb"
)

// maxLeftovers bounds what one look gives up. A crash leaves the blobs of the
// writes that were under way. Metadata that was restored from an older copy leaves
// all that was written since, which somebody may yet want to have back.
const maxLeftovers = 10_000

// excess returns how many blobs that nothing names a look has found, where that is
// more than a crash leaves, and otherwise 0. What a volume held that was lost was
// made anew elsewhere, and may be everything.
func (w *leftovers) excess(ctx context.Context, left []leftover) (uint64, error) {
	l, err := w.state(ctx)
	if n := l.Found - l.Awaited + crashed(&l, left); err == nil && n > w.limit {
		return n, nil
	}
	return 0, err
}

// crashed counts the blobs on volumes that were not lost.
func crashed(l *metadb.Leftovers, left []leftover) (n uint64) {
	for _, b := range left {
		if !holds(l.Returned, b.Volume) {
			n++
		}
	}
	return n
}

// keepAll ends a look that has found too much: nothing of it is given up, and what
// was already is taken back.
func (w *leftovers) keepAll(ctx context.Context, k *look, found uint64) error {
	w.e.garbage.mu.Lock() // the collector is not at an entry that goes
	defer w.e.garbage.mu.Unlock()
	for {
		var keys [][]byte
		_, err := w.e.update(ctx, func(tx metadb.Tx) (err error) {
			if keys, err = leftoverEntries(tx); err != nil {
				return err
			}
			for _, k := range keys {
				if err := tx.Delete(k); err != nil {
					return err
				}
			}
			if len(keys) > 0 {
				return nil
			}
			return changeLeftovers(tx, func(l *metadb.Leftovers, _ bool) {
				l.Found, l.Bytes, l.Awaited, l.Excess, l.Again = 0, 0, 0, found, time.Time{}
				if l.Asked == k.asked { // else a volume has come back since
					l.Volumes, l.Returned, l.Looked = nil, nil, w.e.now()
				}
			})
		})
		if err != nil {
			return fmt.Errorf("keep what nothing names: %w", err)
		}
		if len(keys) == 0 {
			break
		}
	}
	w.e.log.ErrorContext(ctx, "more blobs than a crash leaves are named by nothing, so they stay: is the metadata older than what the volumes hold?",
		"found", found, "limit", w.limit)
	return nil
}

// leftoverEntries returns the keys of some of the entries that give up leftovers.
func leftoverEntries(tx metadb.Tx) (keys [][]byte, err error) {
	r := metadb.GarbageRange()
	err = tx.Scan(r.Start, r.End, func(k, row []byte) (bool, error) {
		g, err := metadb.UnmarshalGarbage(row)
		if err == nil && g.Kind == metadb.GarbageLeftovers {
			keys = append(keys, bytes.Clone(k))
		}
		return len(keys) < garbageBatch, nil // the collector reports what can not be read
	})
	return keys, err
}
