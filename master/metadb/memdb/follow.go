package memdb

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"tdkvs/master/metadb"
)

// position is which commit a state is of.
type position struct {
	seq  uint64
	mark []byte
	last map[string]bool // the keys that the newest commit has written
}

var _ metadb.Followed = (*DB)(nil)

// Position implements metadb.Followed.
func (db *DB) Position() (seq uint64, mark []byte) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.at.seq, db.at.mark
}

// Follow implements metadb.Followed.
func (db *DB) Follow(f metadb.Follower) { db.follower.Store(&f) }

// ViewAt implements metadb.Followed.
func (db *DB) ViewAt(ctx context.Context, fn func(seq uint64, tx metadb.Tx) error) error {
	root, at, err := db.begin(ctx)
	if err != nil {
		return err
	}
	defer db.end()
	return fn(at.seq, &tx{tree: root, readOnly: true})
}

// LastCommit implements metadb.Followed.
func (db *DB) LastCommit(ctx context.Context) ([]metadb.Change, error) {
	root, at, err := db.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer db.end()
	return changesOf(root, at.last), nil
}

// Apply implements metadb.Followed.
func (db *DB) Apply(ctx context.Context, seq uint64, mark []byte, changes []metadb.Change) error {
	root, at, err := db.begin(ctx)
	if err != nil {
		return err
	}
	defer db.end()
	if seq != at.seq+1 {
		return fmt.Errorf("commit %d after %d", seq, at.seq)
	}
	t := &tx{tree: root.Copy()}
	for _, c := range changes {
		t.note(c.Key)
		if t.tree.Delete(item{key: c.Key}); !c.Deleted {
			t.tree.Set(item{key: clone(c.Key), value: clone(c.Value)})
		}
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.root, db.at = t.tree, position{seq: seq, mark: slices.Clone(mark), last: t.written}
	return nil
}

// note remembers that a key is written.
func (t *tx) note(key []byte) {
	if t.written == nil {
		t.written = make(map[string]bool)
	}
	t.writes++
	t.written[string(key)] = true
}

// changes are the writes of a transaction, in the order of keys.
func (t *tx) changes() []metadb.Change { return changesOf(t.tree, t.written) }

func changesOf(state *tree, keys map[string]bool) []metadb.Change {
	all := make([]metadb.Change, 0, len(keys))
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		it, ok := state.Get(item{key: []byte(k)})
		all = append(all, metadb.Change{Key: []byte(k), Value: it.value, Deleted: !ok})
	}
	return all
}
