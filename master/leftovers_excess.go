package master

import (
	"bytes"
	"context"
	"fmt"

	"tdkvs/master/metadb"
)

// maxLeftovers bounds what one look gives up. A crash leaves the blobs of the
// writes that were under way. Metadata that was restored from an older copy leaves
// all that was written since, which somebody may yet want to have back.
const maxLeftovers = 10_000

// keepAll ends a look that has found too much: nothing of it is given up, and what
// was already is taken back.
func (w *leftovers) keepAll(ctx context.Context, found uint64) error {
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
				l.Volumes, l.Looked, l.Found, l.Bytes, l.Excess = nil, w.e.now(), 0, 0, found
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
