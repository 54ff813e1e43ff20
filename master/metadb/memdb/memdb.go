package memdb

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidwall/btree"

	"tdkvs/master/metadb"
	"tdkvs/master/metadb/internal/txbudget"
)

// item is one key and its value. Both are owned by the store and never change.
type item struct {
	key, value []byte
}

type tree = btree.BTreeG[item]

// DB is an in-memory metadb.DB.
type DB struct {
	writer chan struct{} // holds one token: the right to run an Update

	mu     sync.Mutex // guards the fields below
	idle   sync.Cond  // signaled when active falls to zero
	root   *tree      // the committed state; replaced, never modified
	at     position   // of root
	active int        // transactions under way
	closed bool
	stats  metadb.Stats

	follower atomic.Pointer[metadb.Follower] // nil: nobody follows
}

var _ metadb.DB = (*DB)(nil)

// New returns an empty store.
func New() *DB {
	db := &DB{
		writer: make(chan struct{}, 1),
		root: btree.NewBTreeGOptions(func(a, b item) bool { return bytes.Compare(a.key, b.key) < 0 },
			btree.Options{NoLocks: true}),
	}
	db.idle.L = &db.mu
	db.writer <- struct{}{}
	return db
}

// View implements metadb.DB.
func (db *DB) View(ctx context.Context, fn func(metadb.Tx) error) error {
	return db.ViewAt(ctx, func(_ uint64, tx metadb.Tx) error { return fn(tx) })
}

// Update implements metadb.DB.
func (db *DB) Update(ctx context.Context, fn func(metadb.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-db.writer:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { db.writer <- struct{}{} }()

	root, at, err := db.begin(ctx)
	if err != nil {
		return err
	}
	defer db.end()
	t := &tx{tree: root.Copy()}
	if err := fn(t); err != nil {
		return err
	}
	if err := t.budget.Err(); err != nil {
		return err
	}

	return db.commit(t, at)
}

// commit makes what a transaction has left the state, side by side with the follower.
func (db *DB) commit(t *tx, at position) error {
	if t.writes > 0 {
		at = position{seq: at.seq + 1, last: t.written}
	}
	var pending metadb.Pending
	if f := db.follower.Load(); f != nil && t.writes > 0 {
		var err error
		if pending, at.mark, err = (*f).Begin(at.seq, slices.Values(t.changes())); err != nil {
			return err
		}
	}
	db.mu.Lock()
	db.root, db.at = t.tree, at
	db.stats.Updates++
	db.stats.Commits++
	db.mu.Unlock()
	if pending != nil {
		return pending.Wait()
	}
	return nil
}

// Stats implements metadb.DB.
func (db *DB) Stats() metadb.Stats {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.stats
}

// Close implements metadb.DB. Closing twice is no error.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.closed = true
	for db.active > 0 {
		db.idle.Wait()
	}
	return nil
}

// begin enters a transaction and returns the state that it reads.
func (db *DB) begin(ctx context.Context) (*tree, position, error) {
	if err := ctx.Err(); err != nil {
		return nil, position{}, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, position{}, metadb.ErrClosed
	}
	db.active++
	return db.root, db.at, nil
}

func (db *DB) end() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.active--
	if db.active == 0 {
		db.idle.Broadcast()
	}
}

// tx is one transaction over a tree of its own.
type tx struct {
	tree     *tree
	readOnly bool
	budget   txbudget.Budget
	writes   uint64          // rises with every write; cursors find their place again
	written  map[string]bool // the keys that were written
}

func (t *tx) Get(key []byte) ([]byte, error) {
	it, ok := t.tree.Get(item{key: key})
	if !ok {
		return nil, metadb.ErrNotFound
	}
	return it.value, nil
}

func (t *tx) Set(key, value []byte) error {
	if t.readOnly {
		return metadb.ErrReadOnly
	}
	if err := t.budget.Add(key, value); err != nil {
		return err
	}
	t.note(key)
	t.tree.Set(item{key: clone(key), value: clone(value)})
	return nil
}

func (t *tx) Delete(key []byte) error {
	if t.readOnly {
		return metadb.ErrReadOnly
	}
	if err := t.budget.Add(key, nil); err != nil {
		return err
	}
	t.note(key)
	t.tree.Delete(item{key: key})
	return nil
}

func (t *tx) Scan(start, end []byte, fn func(key, value []byte) (bool, error)) error {
	for c := t.cursor(start, end); c.Valid(); c.Next() {
		if more, err := fn(c.cur.key, c.cur.value); err != nil || !more {
			return err
		}
	}
	return nil
}

func (t *tx) Seek(start, end []byte) metadb.Cursor { return t.cursor(start, end) }

func (t *tx) cursor(start, end []byte) *cursor {
	c := &cursor{tx: t, end: clone(end)}
	if end == nil {
		c.end = nil
	}
	c.seek(start)
	return c
}

// cursor walks the tree of its transaction. A write through the transaction
// makes it look up its place again.
type cursor struct {
	tx     *tx
	end    []byte // nil: the end of the key space
	iter   btree.IterG[item]
	seen   uint64 // tx.writes when iter was made
	cur    item
	valid  bool
	closed bool
}

func (c *cursor) Valid() bool            { return c.valid }
func (c *cursor) Key() []byte            { return c.cur.key }
func (c *cursor) Value() ([]byte, error) { return c.cur.value, nil }

func (c *cursor) Next() {
	switch {
	case !c.valid:
	case c.seen != c.tx.writes:
		c.seek(append(clone(c.cur.key), 0))
	default:
		c.settle(c.iter.Next())
	}
}

func (c *cursor) SeekTo(key []byte) {
	if !c.valid || bytes.Compare(key, c.cur.key) <= 0 {
		return
	}
	c.seek(key)
}

func (c *cursor) Close() error {
	c.closed, c.valid = true, false
	return nil
}

func (c *cursor) seek(key []byte) {
	if c.closed {
		return
	}
	c.iter, c.seen = c.tx.tree.Iter(), c.tx.writes
	c.settle(c.iter.Seek(item{key: key}))
}

// settle takes up the entry the iterator stands on, if it is within bounds.
func (c *cursor) settle(ok bool) {
	c.cur, c.valid = item{}, false
	if !ok {
		return
	}
	if it := c.iter.Item(); c.end == nil || bytes.Compare(it.key, c.end) < 0 {
		c.cur, c.valid = it, true
	}
}

// clone copies b; the copy is never nil, so that an empty value reads as one.
func clone(b []byte) []byte { return append(make([]byte, 0, len(b)), b...) }
