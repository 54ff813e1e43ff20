package badgerdb

import (
	"bytes"

	"github.com/tidwall/btree"

	"tdkvs/master/metadb"
)

// write is one pending write: a value, or the deletion of the key. Key and value
// are owned by the batch and never change.
type write struct {
	stored  []byte // the key, as Badger has it: behind dataPrefix
	value   []byte
	deleted bool
}

func (w *write) key() []byte { return w.stored[1:] }

// overlay holds the writes of a batch that are not committed yet, in key order.
type overlay = btree.BTreeG[*write]

func newOverlay() *overlay {
	return btree.NewBTreeGOptions(func(a, b *write) bool { return bytes.Compare(a.stored, b.stored) < 0 },
		btree.Options{NoLocks: true, Degree: 16})
}

// iterator walks the committed keys of a snapshot within bounds. Key and value
// hold until the next move.
type iterator interface {
	valid() bool
	key() []byte
	value() ([]byte, error)
	next()
	seek(key []byte)
	close()
}

// cursor merges a snapshot with the overlay of its transaction, if there is one.
type cursor struct {
	base iterator
	tx   *tx
	end  []byte // nil: the end of the key space

	over     btree.IterG[*write]
	overOK   bool // over stands on an entry within bounds
	overSeen int  // how many writes of tx there were when over was placed

	cur    []byte // the current key, nil when there is none
	inBase bool   // base stands on cur
	inOver bool   // over stands on cur
	closed bool
}

var _ metadb.Cursor = (*cursor)(nil)

func (c *cursor) Valid() bool { return c.cur != nil }
func (c *cursor) Key() []byte { return c.cur }

func (c *cursor) Value() ([]byte, error) {
	if c.inOver {
		return c.over.Item().value, nil
	}
	return c.base.value()
}

func (c *cursor) Next() {
	if c.cur == nil {
		return
	}
	switch {
	case c.tx.tree == nil:
	case c.overSeen != len(c.tx.room.done): // the tree changed: find the place again
		c.seekOverlay(append(clone(c.cur), 0))
	case c.inOver:
		c.stepOverlay()
	}
	if c.inBase {
		c.base.next()
	}
	c.settle()
}

func (c *cursor) SeekTo(key []byte) {
	if c.cur == nil || bytes.Compare(key, c.cur) <= 0 {
		return
	}
	c.seek(key)
}

func (c *cursor) Close() error {
	if !c.closed {
		c.closed, c.cur = true, nil
		c.base.close()
	}
	return nil
}

// seek places both sides at key.
func (c *cursor) seek(key []byte) {
	c.base.seek(key)
	if c.tx.tree != nil {
		c.seekOverlay(key)
	}
	c.settle()
}

func (c *cursor) seekOverlay(key []byte) {
	c.over, c.overSeen = c.tx.tree.Iter(), len(c.tx.room.done)
	c.overOK = c.over.Seek(c.tx.sought(key)) && c.within(c.over.Item().key())
}

func (c *cursor) stepOverlay() {
	c.overOK = c.over.Next() && c.within(c.over.Item().key())
}

func (c *cursor) within(key []byte) bool {
	return c.end == nil || bytes.Compare(key, c.end) < 0
}

// settle takes the smaller of the two sides as the current key, the overlay's
// where they are equal, and steps over what the overlay deleted.
func (c *cursor) settle() {
	for {
		c.cur, c.inBase, c.inOver = nil, false, false
		baseOK := c.base.valid()
		if !baseOK && !c.overOK {
			return
		}
		if !c.overOK {
			c.cur, c.inBase = c.base.key(), true
			return
		}
		w := c.over.Item()
		order := -1
		if baseOK {
			order = bytes.Compare(w.key(), c.base.key())
		}
		if order > 0 {
			c.cur, c.inBase = c.base.key(), true
			return
		}
		if !w.deleted {
			c.cur, c.inOver, c.inBase = w.key(), true, order == 0
			return
		}
		c.stepOverlay()
		if order == 0 {
			c.base.next()
		}
	}
}

// clone copies b; the copy is never nil.
func clone(b []byte) []byte { return append(make([]byte, 0, len(b)), b...) }
