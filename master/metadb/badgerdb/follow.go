package badgerdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"tdkvs/master/metadb"
)

var _ metadb.Followed = (*DB)(nil)

// Position implements metadb.Followed.
func (db *DB) Position() (seq uint64, mark []byte) { return db.store.position() }

// Follow implements metadb.Followed.
func (db *DB) Follow(f metadb.Follower) { db.combiner.follower.Store(&f) }

// ViewAt implements metadb.Followed.
func (db *DB) ViewAt(ctx context.Context, fn func(seq uint64, tx metadb.Tx) error) error {
	v, err := db.view(ctx)
	if err != nil {
		return err
	}
	defer v.end()
	return fn(v.snap.ts, v)
}

// LastCommit implements metadb.Followed.
func (db *DB) LastCommit(ctx context.Context) (changes []metadb.Change, err error) {
	v, err := db.view(ctx)
	if err != nil {
		return nil, err
	}
	defer v.end()
	if v.snap.ts == 0 {
		return nil, nil
	}
	it := v.snap.badger().NewIterator(badger.IteratorOptions{
		Prefix: []byte{dataPrefix}, AllVersions: true, SinceTs: v.snap.ts - 1,
	})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		if item.Version() != v.snap.ts {
			continue
		}
		c := metadb.Change{Key: clone(item.Key()[1:]), Deleted: item.IsDeletedOrExpired()}
		if !c.Deleted {
			value, err := itemValue(item)
			if err != nil {
				return nil, err
			}
			c.Value = clone(value)
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// Apply implements metadb.Followed.
func (db *DB) Apply(ctx context.Context, seq uint64, mark []byte, changes []metadb.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tree := newOverlay()
	for _, c := range changes {
		tree.Set(&write{stored: prefixed(nil, c.Key), value: clone(c.Value), deleted: c.Deleted})
	}
	if !db.enter() {
		return metadb.ErrClosed
	}
	defer db.leave()
	db.store.gate.RLock() // Badger stays open meanwhile
	defer db.store.gate.RUnlock()
	return db.combiner.apply(seq, tree, mark)
}

var errOutOfTurn = errors.New("metadb: the commit is not the next one")

// apply commits a batch that was made elsewhere.
func (c *combiner) apply(seq uint64, tree *overlay, mark []byte) error {
	if err := c.failed(); err != nil {
		return err
	}
	if at, _ := c.eng.position(); seq != at+1 {
		return fmt.Errorf("%w: %d after %d", errOutOfTurn, seq, at)
	}
	bytes := 0
	tree.Scan(func(w *write) bool {
		bytes += len(w.stored) + len(w.value) + entryOverhead
		return true
	})
	c.space.prepare()
	return c.store(tree, mark, bytes)
}
