package badgerdb

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	return db.view(ctx, func(s *badgerSnapshot) error {
		t := &tx{ctx: ctx, snap: s}
		defer t.end()
		return fn(s.ts, t)
	})
}

// LastCommit implements metadb.Followed.
func (db *DB) LastCommit(ctx context.Context) (changes []metadb.Change, err error) {
	err = db.view(ctx, func(s *badgerSnapshot) error {
		if s.ts == 0 {
			return nil
		}
		it := s.txn.NewIterator(badger.IteratorOptions{
			Prefix: []byte{dataPrefix}, AllVersions: true, SinceTs: s.ts - 1,
		})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			if item.Version() != s.ts {
				continue
			}
			c := metadb.Change{Key: clone(item.Key()[1:]), Deleted: item.IsDeletedOrExpired()}
			if !c.Deleted {
				v, err := itemValue(item)
				if err != nil {
					return err
				}
				c.Value = clone(v)
			}
			changes = append(changes, c)
		}
		return nil
	})
	return changes, err
}

// Apply implements metadb.Followed.
func (db *DB) Apply(ctx context.Context, seq uint64, mark []byte, changes []metadb.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tree := newOverlay()
	for _, c := range changes {
		tree.Set(&write{key: slices.Clone(c.Key), value: clone(c.Value), deleted: c.Deleted})
	}
	return db.view(ctx, func(*badgerSnapshot) error { return db.combiner.apply(seq, tree, mark) })
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
	if err := c.eng.commit(tree, mark); err != nil {
		failure := fmt.Errorf("%w: %w", metadb.ErrFailed, err)
		c.failure.Store(&failure)
		return failure
	}
	c.commits.Add(1)
	return nil
}
